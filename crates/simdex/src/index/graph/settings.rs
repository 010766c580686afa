//! The parameters of a graph.

use crate::error::{Error, ErrorKind, Result};
use crate::index::{Parameter, Parameters};

/// The target recall.
pub(in crate::index) const RECALL: Parameter = Parameter {
    name: "recall",
    default: "0.95",
    about: "share of the true nearest rows to find; sets the margin as measured at build",
    check: |value| within(value, 0.0, 1.0),
};

/// What `--set` accepts.
pub(super) const PARAMETERS: &[Parameter] = &[
    RECALL,
    Parameter {
        name: "degree",
        default: "32",
        about: "most neighbours of a node: more cost memory and find more",
        check: |value| within(value, 4.0, 256.0),
    },
    Parameter {
        name: "effort",
        default: "100",
        about: "width of walks while building: more take longer and make a better graph",
        check: |value| within(value, 8.0, 2000.0),
    },
    Parameter {
        name: "alpha",
        default: "1.1",
        about: "how much longer than necessary edges may be: more make walks shorter and lists longer",
        check: |value| within(value, 1.0, 2.0),
    },
    Parameter {
        name: "margin",
        default: "0",
        about: "how much farther than the answer walks look, as a share; 0 for the measured one",
        check: |value| within(value, 0.0, 100.0),
    },
    Parameter {
        name: "width",
        default: "0",
        about: "most nodes that walks keep, without a margin if none is set; 0 for the measured margin",
        check: |value| within(value, 0.0, 1e6),
    },
];

fn within(value: &str, least: f64, most: f64) -> Result<(), String> {
    match value.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(()),
        _ => Err(format!("`{value}` is not a number from {least} to {most}")),
    }
}

/// The value of a parameter, or its default.
pub(super) fn number(parameters: &Parameters, name: &str) -> Result<f64> {
    let parameter = PARAMETERS
        .iter()
        .find(|parameter| parameter.name == name)
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("no parameter `{name}`")))?;
    let value = parameters.get(name).map_or(parameter.default, String::as_str);
    (parameter.check)(value)
        .and_then(|()| value.parse().map_err(|_| format!("`{value}` is not a number")))
        .map_err(|reason| Error::new(ErrorKind::Invalid, reason).with("parameter", name))
}
