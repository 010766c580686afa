//! Large pages for what a walk reads at random: with small ones, most reads also miss the
//! processor's table of pages.

use std::sync::Arc;

use bytemuck::Pod;

use crate::error::{Context, Result};
use crate::matrix::Slab;

/// Below this, small pages do.
const WORTH_IT: usize = 1 << 20;

/// Copies `values` into memory of large pages, where the system has them. O(n).
pub(super) fn copy<T: Pod>(values: &Slab<T>) -> Result<Slab<T>> {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    if bytes.len() < WORTH_IT {
        return Ok(values.clone());
    }
    let mut map = memmap2::MmapMut::map_anon(bytes.len()).context("bytes", bytes.len())?;
    // Refusal costs speed only.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    map.copy_from_slice(bytes);
    Slab::from_map(&Arc::new(map.make_read_only()?), 0..bytes.len())
}
