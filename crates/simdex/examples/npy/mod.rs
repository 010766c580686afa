//! Arrays in `.npy` files.
#![allow(dead_code)] // No example reads every kind of number.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;

use half::f16;
use npyz::{DType, Deserialize, NpyFile};
use simdex::matrix::Matrix;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A matrix of float16 or float32: its values, row-major, and the length of a row.
pub(crate) fn floats(path: &str) -> Result<(Vec<f32>, usize)> {
    let file = open(path)?;
    match file.dtype() {
        DType::Plain(plain) if plain.to_string().ends_with("f2") => {
            let (halves, dim) = matrix::<f16>(file)?;
            Ok((halves.into_iter().map(f16::to_f32).collect(), dim))
        }
        _ => matrix(file),
    }
}

/// [`floats`] as rows.
pub(crate) fn rows(path: &str) -> Result<Matrix> {
    let (values, dim) = floats(path)?;
    Ok(Matrix::from_slice(&values, dim)?)
}

/// A matrix of int32 that are row numbers.
pub(crate) fn numbers(path: &str) -> Result<(Vec<i32>, usize)> {
    matrix(open(path)?)
}

fn open(path: &str) -> Result<NpyFile<BufReader<File>>> {
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    NpyFile::new(BufReader::new(file)).map_err(|error| format!("{path}: {error}").into())
}

fn matrix<T: Deserialize>(file: NpyFile<BufReader<File>>) -> Result<(Vec<T>, usize)> {
    let &[_, dim] = file.shape() else { return Err("not a matrix".into()) };
    Ok((file.into_vec()?, dim as usize))
}
