//! JSON as Python's `json.dumps` writes it, so that output is the same byte for byte as llm's.
//!
//! Written by hand and not as a `serde_json` formatter because Python's `json.loads` takes more than
//! `serde_json` does (`NaN`, `Infinity`, lone surrogates, integers and floats of any size), and
//! metadata that llm wrote may hold any of these.

use std::collections::HashMap;
use std::fmt::Write as _;

/// Python gives up at its recursion limit, about 1,000; no real metadata is this deep.
const DEEPEST: usize = 500;

/// Appends `text` as a JSON string in ASCII: `json.dumps(text)`.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut units = [0; 2];
    for character in text.chars() {
        for unit in character.encode_utf16(&mut units) {
            push_unit(out, *unit);
        }
    }
    out.push('"');
}

/// Appends `value` as `json.dumps(value)` does.
pub(crate) fn push_float(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        out.push_str(&repr(value));
    }
}

/// A float as Python's `repr` and `str` write it.
pub(crate) fn repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let scientific = shortest(value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let sign = if value.is_sign_negative() { "-" } else { "" };
    match exponent.parse::<i32>().unwrap_or(0) {
        exponent @ -4..=15 => format!("{sign}{}", decimal(&mantissa.replace('.', ""), exponent)),
        exponent if exponent < 0 => format!("{sign}{mantissa}e-{:02}", -exponent),
        exponent => format!("{sign}{mantissa}e+{exponent:02}"),
    }
}

/// The fewest digits that read back as `value`, as `d.ddde±x`.
///
/// Where two numbers of so few digits are equally close, Python takes the even one; Rust's shortest
/// form need not, but its rounding to a given number of digits does.
fn shortest(value: f64) -> String {
    let scientific = format!("{value:e}");
    let mantissa = scientific.split('e').next().unwrap_or_default();
    let decimals = mantissa.len().saturating_sub(2);
    let rounded = format!("{value:.decimals$e}");
    if rounded.parse() == Ok(value) { rounded } else { scientific }
}

/// `digits`, the first of which counts 10^`exponent`, without an exponent.
fn decimal(digits: &str, exponent: i32) -> String {
    match usize::try_from(exponent + 1) {
        Ok(whole) if whole > 0 && whole < digits.len() => {
            let (whole, fraction) = digits.split_at(whole);
            format!("{whole}.{fraction}")
        }
        Ok(whole) if whole > 0 => format!("{digits:0<whole$}.0"),
        _ => format!("0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
    }
}

/// `json.dumps(json.loads(text))`, or `None` where `json.loads` fails.
pub(crate) fn redump(text: &str) -> Option<String> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    let mut out = String::with_capacity(text.len());
    reader.skip_space();
    reader.value(0, &mut out)?;
    reader.skip_space();
    (reader.at == reader.text.len()).then_some(out)
}

/// Whether Python takes this dumped value for false in an `if`.
pub(crate) fn is_falsy(dumped: &str) -> bool {
    matches!(dumped, "null" | "false" | "0" | "0.0" | "-0.0" | "\"\"" | "[]" | "{}")
}

/// One UTF-16 code unit, which is the unit that Python escapes by.
fn push_unit(out: &mut String, unit: u16) {
    match unit {
        0x22 => out.push_str("\\\""),
        0x5c => out.push_str("\\\\"),
        0x0a => out.push_str("\\n"),
        0x0d => out.push_str("\\r"),
        0x09 => out.push_str("\\t"),
        0x0c => out.push_str("\\f"),
        0x08 => out.push_str("\\b"),
        0x20..=0x7e => out.push(char::from(unit as u8)),
        _ => {
            // Writing to a String can't fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, literal: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(literal.as_bytes()).then(|| self.at += literal.len())
    }

    fn skip_space(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) -> usize {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        self.at - start
    }

    fn value(&mut self, depth: usize, out: &mut String) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match self.peek()? {
            b'"' => self.string(out),
            b'{' => self.object(depth, out),
            b'[' => self.array(depth, out),
            b't' => self.literal("true", out),
            b'f' => self.literal("false", out),
            b'n' => self.literal("null", out),
            b'N' => self.literal("NaN", out),
            b'I' => self.literal("Infinity", out),
            b'-' if self.text.get(self.at + 1) == Some(&b'I') => self.literal("-Infinity", out),
            _ => self.number(out),
        }
    }

    fn literal(&mut self, literal: &str, out: &mut String) -> Option<()> {
        self.take(literal)?;
        out.push_str(literal);
        Some(())
    }

    fn number(&mut self, out: &mut String) -> Option<()> {
        let start = self.at;
        let _ = self.take("-");
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => {
                self.skip_while(|byte| byte.is_ascii_digit());
            }
            _ => return None,
        }
        let integer_end = self.at;
        self.optional(|reader| {
            reader.take(".")?;
            (reader.skip_while(|byte| byte.is_ascii_digit()) > 0).then_some(())
        });
        self.optional(|reader| {
            reader.take("e").or_else(|| reader.take("E"))?;
            let _ = reader.take("-").or_else(|| reader.take("+"));
            (reader.skip_while(|byte| byte.is_ascii_digit()) > 0).then_some(())
        });
        let literal = std::str::from_utf8(self.text.get(start..self.at)?).ok()?;
        if self.at > integer_end {
            push_float(out, literal.parse().ok()?);
        } else {
            // Python reads -0 as the integer 0.
            out.push_str(if literal == "-0" { "0" } else { literal });
        }
        Some(())
    }

    /// Reads what `part` reads, or nothing.
    fn optional(&mut self, part: impl Fn(&mut Self) -> Option<()>) {
        let start = self.at;
        if part(self).is_none() {
            self.at = start;
        }
    }

    fn string(&mut self, out: &mut String) -> Option<()> {
        self.take("\"")?;
        out.push('"');
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape(out)?,
                0..=0x1f => return None,
                _ => self.plain_text(out)?,
            }
        }
        self.at += 1;
        out.push('"');
        Some(())
    }

    fn plain_text(&mut self, out: &mut String) -> Option<()> {
        let start = self.at;
        self.skip_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let text = std::str::from_utf8(self.text.get(start..self.at)?).ok()?;
        text.encode_utf16().for_each(|unit| push_unit(out, unit));
        Some(())
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let escaped = *self.text.get(self.at + 1)?;
        self.at += 2;
        let unit = match escaped {
            b'"' | b'\\' | b'/' => u16::from(escaped),
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => 0x0a,
            b'r' => 0x0d,
            b't' => 0x09,
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().try_fold(0, |unit: u16, digit| {
                    Some(unit << 4 | char::from(*digit).to_digit(16)? as u16)
                })?
            }
            _ => return None,
        };
        push_unit(out, unit);
        Some(())
    }

    fn array(&mut self, depth: usize, out: &mut String) -> Option<()> {
        self.take("[")?;
        out.push('[');
        self.skip_space();
        if self.take("]").is_none() {
            loop {
                self.value(depth + 1, out)?;
                if self.ends("]")? {
                    break;
                }
                out.push_str(", ");
            }
        }
        out.push(']');
        Some(())
    }

    fn object(&mut self, depth: usize, out: &mut String) -> Option<()> {
        let members = self.members(depth)?;
        out.push('{');
        for (number, (key, value)) in members.iter().enumerate() {
            if number > 0 {
                out.push_str(", ");
            }
            out.push_str(key);
            out.push_str(": ");
            out.push_str(value);
        }
        out.push('}');
        Some(())
    }

    /// As a Python dict holds them: a repeated key keeps its first place and its last value.
    fn members(&mut self, depth: usize) -> Option<Vec<(String, String)>> {
        let mut members: Vec<(String, String)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        self.take("{")?;
        self.skip_space();
        if self.take("}").is_some() {
            return Some(members);
        }
        loop {
            let (mut key, mut value) = (String::new(), String::new());
            self.string(&mut key)?;
            self.skip_space();
            self.take(":")?;
            self.skip_space();
            self.value(depth + 1, &mut value)?;
            match places.get(&key).and_then(|place| members.get_mut(*place)) {
                Some(member) => member.1 = value,
                None => {
                    places.insert(key.clone(), members.len());
                    members.push((key, value));
                }
            }
            if self.ends("}")? {
                return Some(members);
            }
        }
    }

    /// Reads `,` or the closing bracket; says whether it was the bracket.
    fn ends(&mut self, close: &str) -> Option<bool> {
        self.skip_space();
        if self.take(close).is_some() {
            return Some(true);
        }
        self.take(",")?;
        self.skip_space();
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn floats_are_pythons() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-7, "1e-07"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.234e22, "1.234e+22"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (9007199254740993.0, "9007199254740992.0"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-0.3333333333333333, "-0.3333333333333333"),
            // Both 8.2 and 8.3 read back, and both are as close: the even one is taken.
            (-6854874329672393.0 / 4.0, "-1713718582418098.2"),
            (2f64.powi(-1074), "5e-324"),
            (2f64.powi(60), "1.152921504606847e+18"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(repr(value), expected);
        }
    }

    #[test]
    fn strings_are_ascii_with_surrogate_pairs() {
        let mut out = String::new();
        push_string(&mut out, "a\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}é\u{2028}😀");
        assert_eq!(out, r#""a\"\\/\b\f\n\r\t\u0001\u007f\u00e9\u2028\ud83d\ude00""#);
    }

    #[test]
    fn redump_is_loads_then_dumps() {
        for (text, expected) in [
            (
                " {\"a\":1,\"b\":[1,2.50,-0,-0.0,1E5,1e400]}\n",
                r#"{"a": 1, "b": [1, 2.5, 0, -0.0, 100000.0, Infinity]}"#,
            ),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("[NaN, Infinity,-Infinity]", "[NaN, Infinity, -Infinity]"),
            (r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a": 3, "b": 2}"#),
            (r#""\ud800\u00e9\/é\ud83d\ude00""#, r#""\ud800\u00e9/\u00e9\ud83d\ude00""#),
            ("[ ]", "[]"),
            ("{ }", "{}"),
            ("[true,false,null]", "[true, false, null]"),
        ] {
            assert_eq!(redump(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_loads_refuses_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "tru",
            "'a'",
            "\"a",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "{a:1}",
            "[1 2]",
            "1 2",
            "nan",
            "\u{feff}1",
            "-Inf",
            "{\"a\"}",
            "{1:2}",
            "[",
            "\"\\",
        ] {
            assert_eq!(redump(text), None, "{text:?}");
        }
        assert_eq!(redump(&"[".repeat(100_000)), None);
    }

    #[test]
    fn falsy_values() {
        for text in ["null", "false", "0", "-0", "0.0", "-0.0", "1e-999", "\"\"", "[]", "{}"] {
            assert!(is_falsy(&redump(text).unwrap()), "{text}");
        }
        assert!(!is_falsy(&redump("[0]").unwrap()));
    }

    fn python(program: &str, input: &str) -> Option<String> {
        let mut child = Command::new("python3")
            .args(["-c", program])
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "python3 failed");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// Lines of JSON strings in; what `json.dumps(json.loads(…))` makes of each out.
    const REDUMP: &str = "
import json, sys
for line in sys.stdin:
    try: print(json.dumps(json.loads(json.loads(line))))
    except (ValueError, RecursionError): print('refused')
";

    const REPR: &str = "
import struct, sys
for line in sys.stdin: print(repr(struct.unpack('>d', bytes.fromhex(line.strip()))[0]))
";

    /// Near-JSON: pieces of the grammar in any order, most of them broken in some way.
    fn near_json() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                "\"",
                "\\",
                "\"a\"",
                "\"\\ud83d\"",
                "\"\\ude00\"",
                "\\u00e9",
                " ",
                "1",
                "-",
                "0",
                ".5",
                "e5",
                "E-9",
                "true",
                "null",
                "NaN",
                "Infinity",
                "\"é😀\"",
                "\u{7f}",
                "\"\\n\"",
                "1e308",
                "\"a\":",
                "{\"a\": 1}",
                "[1, 2]",
            ])
            .prop_map(str::to_owned),
            any::<f64>().prop_map(|value| value.to_string()),
            any::<i128>().prop_map(|value| value.to_string()),
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            near_json(),
            any::<f64>().prop_map(|value| format!("{value:e}")),
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" ,"))),
                prop::collection::vec(("[ab]{0,1}", inner), 0..4).prop_map(|members| {
                    let members: Vec<_> =
                        members.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn redump_agrees_with_python(texts in prop::collection::vec(json(), 200)) {
            let input: String =
                texts.iter().map(|text| serde_json::to_string(text).unwrap() + "\n").collect();
            if let Some(output) = python(REDUMP, &input) {
                for (text, expected) in texts.iter().zip(output.lines()) {
                    let ours = redump(text);
                    prop_assert_eq!(ours.as_deref().unwrap_or("refused"), expected, "{:?}", text);
                }
            }
        }

        #[test]
        fn floats_agree_with_python(bits in prop::collection::vec(
            prop_oneof![any::<u64>(), (-1.0..1.0_f64).prop_map(f64::to_bits),
                (-1e17..1e17_f64).prop_map(f64::to_bits)], 500)
        ) {
            let input: String = bits.iter().map(|bits| format!("{bits:016x}\n")).collect();
            if let Some(output) = python(REPR, &input) {
                for (bits, expected) in bits.iter().zip(output.lines()) {
                    prop_assert_eq!(repr(f64::from_bits(*bits)), expected);
                }
            }
        }

        #[test]
        fn strings_agree_with_python(texts in prop::collection::vec(any::<String>(), 100)) {
            let input: String =
                texts.iter().map(|text| serde_json::to_string(text).unwrap() + "\n").collect();
            let program = "import json, sys\nfor l in sys.stdin.buffer: print(json.dumps(json.loads(l)))";
            if let Some(output) = python(program, &input) {
                for (text, expected) in texts.iter().zip(output.lines()) {
                    let mut ours = String::new();
                    push_string(&mut ours, text);
                    prop_assert_eq!(ours, expected);
                }
            }
        }
    }
}
