//! The engine's errors as a small family of exceptions.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::{create_exception, exceptions::PyKeyboardInterrupt};
use simdex::{Error, ErrorKind};

create_exception!(_native, SimdexError, PyException, "Anything that simdex can't do.");
create_exception!(_native, NotFoundError, SimdexError, "There is no such thing.");
create_exception!(_native, InvalidError, SimdexError, "It can't be used as given.");
create_exception!(_native, BusyError, SimdexError, "Another process holds what is needed.");
create_exception!(_native, DamagedError, SimdexError, "A file of simdex's can't be read.");
create_exception!(_native, AccessError, SimdexError, "A file or folder can't be used.");

pub(crate) fn add_exceptions(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("SimdexError", py.get_type::<SimdexError>())?;
    module.add("NotFoundError", py.get_type::<NotFoundError>())?;
    module.add("InvalidError", py.get_type::<InvalidError>())?;
    module.add("BusyError", py.get_type::<BusyError>())?;
    module.add("DamagedError", py.get_type::<DamagedError>())?;
    module.add("AccessError", py.get_type::<AccessError>())
}

/// The exception for an engine's error; the next step is a line of its own in the message.
pub(crate) fn raise(error: Error) -> PyErr {
    let message = match error.next_step() {
        Some(hint) => format!("{error}\n{hint}"),
        None => error.to_string(),
    };
    match error.kind() {
        ErrorKind::NotFound => NotFoundError::new_err(message),
        ErrorKind::AlreadyExists | ErrorKind::Invalid => InvalidError::new_err(message),
        ErrorKind::Busy => BusyError::new_err(message),
        ErrorKind::Damaged => DamagedError::new_err(message),
        ErrorKind::ReadOnly | ErrorKind::Io => AccessError::new_err(message),
        ErrorKind::Cancelled => PyKeyboardInterrupt::new_err(message),
        _ => SimdexError::new_err(message),
    }
}
