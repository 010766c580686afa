//! What the fuzz targets do: each module has `seed`, which writes inputs to start from, and `run`,
//! which must not panic, hang or read outside a file, whatever bytes it is given.

pub mod blob;
pub mod catalog;
mod files;
pub mod fvecs;
pub mod generation;
pub mod kernels;
pub mod key;
mod search;
pub mod segment;
mod segment_file;
