//! `simdex._native`: the engine for Python. Takes arguments apart, calls, puts results together;
//! the package around it (`python/simdex`) is what people import.

use pyo3::prelude::*;

mod aggregate;
mod answer;
mod bare;
mod blob;
mod command;
mod connection;
mod database;
mod failure;
mod live;
mod observer;
mod options;
mod vectors;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("INSTRUCTIONS", simdex::kernels::Kernels::detect().name())?;
    module.add_class::<database::Database>()?;
    module.add_class::<answer::Match>()?;
    module.add_class::<bare::Vectors>()?;
    module.add_class::<live::Live>()?;
    module.add_class::<aggregate::Aggregate>()?;
    module.add_function(wrap_pyfunction!(blob::encode, module)?)?;
    module.add_function(wrap_pyfunction!(blob::decode, module)?)?;
    module.add_function(wrap_pyfunction!(command::command, module)?)?;
    failure::add_exceptions(module)
}
