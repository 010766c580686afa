use super::*;
use half::f16;
use simdex::observe::Silent;

/// A file as numpy.save writes it.
fn file(dtype: &str, fortran: bool, shape: &str, data: &[u8]) -> tempfile::NamedTempFile {
    let fortran = if fortran { "True" } else { "False" };
    let mut text = format!("{{'descr': {dtype}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while !(10 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    raw(&bytes)
}

fn raw(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// What is said of a file, without its name.
fn refusal<T: std::fmt::Debug>(
    file: &tempfile::NamedTempFile,
    read: impl Fn(&Path, &dyn Observer) -> Result<T>,
) -> String {
    let message = read(file.path(), &Silent).unwrap_err().to_string();
    message.replace(&format!("{}: ", file.path().display()), "")
}

#[test]
fn three_kinds_of_floats_are_read() {
    let values = [1.5_f32, -2.0, 0.25, 4.0, 0.0, -0.5];
    let half: Vec<u8> = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
    let single: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let double: Vec<u8> = values.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
    for (dtype, data) in [("'<f2'", half), ("'<f4'", single), ("'<f8'", double)] {
        let matrix = vectors(file(dtype, false, "(2, 3)", &data).path(), &Silent).unwrap();
        assert_eq!((matrix.rows(), matrix.dim(), matrix.values()), (2, 3, &values[..]), "{dtype}");
    }
}

#[test]
fn two_kinds_of_integers_are_read() {
    let single: Vec<u8> = [3_i32, 0, 7].iter().flat_map(|v| v.to_le_bytes()).collect();
    let double: Vec<u8> = [3_i64, 0, 7].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (dtype, data) in [("'<i4'", single), ("'<i8'", double)] {
        let lists = row_numbers(file(dtype, false, "(1, 3)", &data).path(), &Silent).unwrap();
        assert_eq!(lists, [[3, 0, 7]], "{dtype}");
    }
    let negative = file("'<i4'", false, "(1, 1)", &(-1_i32).to_le_bytes());
    assert_eq!(refusal(&negative, row_numbers), "row 0 holds -1, which is not a row number");
    let huge = file("'<i8'", false, "(1, 1)", &(1_i64 << 32).to_le_bytes());
    assert_eq!(refusal(&huge, row_numbers), "row 0 holds 4294967296, which is not a row number");
}

#[test]
fn what_cant_be_used_is_named() {
    let data = [0; 64];
    for (dtype, fortran, shape, expected) in [
        ("'>f4'", false, "(2, 2)", "its numbers are of type `>f4`"),
        ("'|u1'", false, "(2, 2)", "its numbers are of type `|u1`"),
        ("'<f4'", true, "(2, 2)", "its values are in Fortran order, column by column"),
        ("'<f4'", false, "(4,)", "its shape is (4), expected (rows, columns)"),
        ("'<f4'", false, "(1, 2, 2)", "its shape is (1, 2, 2), expected (rows, columns)"),
        ("'<f4'", false, "(0, 2)", "it holds 0 rows of 2 values"),
        (
            "'<f4'",
            false,
            "(20, 2)",
            "it is cut short: 64 bytes of data for 20 rows of 2 values of 4 bytes",
        ),
    ] {
        assert_eq!(refusal(&file(dtype, fortran, shape, &data), vectors), expected);
    }
    assert_eq!(refusal(&raw(b"hello"), vectors), "not a .npy file");
    assert_eq!(refusal(&raw(b""), vectors), "not a .npy file");
    assert!(refusal(&raw(b"\x93NUMPY\x01\x00\xff\xffx"), vectors).contains("header"));
    let wrong = vectors(Path::new("no/such.npy"), &Silent).unwrap_err().to_string();
    assert!(wrong.starts_with("can't read no/such.npy: "), "{wrong}");
}

#[test]
fn values_that_are_not_finite_are_named() {
    let mut data: Vec<u8> =
        [1.0_f32, 2.0, 3.0, f32::NAN].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(
        refusal(&file("'<f4'", false, "(2, 2)", &data), vectors),
        "value 1 of row 1 is NaN, not a finite float32"
    );
    data.splice(8..12, f32::INFINITY.to_le_bytes());
    assert_eq!(
        refusal(&file("'<f4'", false, "(2, 2)", &data), vectors),
        "value 0 of row 1 is inf, not a finite float32"
    );
    let beyond = file("'<f8'", false, "(1, 1)", &1e300_f64.to_le_bytes());
    assert_eq!(refusal(&beyond, vectors), "value 0 of row 0 is inf, not a finite float32");
}
