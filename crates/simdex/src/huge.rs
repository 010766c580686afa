//! Large memory in large pages, so that reading it in random order finds addresses faster.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// From this size on, huge pages are asked for.
const LARGE: usize = 4 << 20;

/// `count` times `value`, in huge pages where it is much.
pub(crate) fn filled<T: Clone>(value: T, count: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(count);
    advise(values.spare_capacity_mut());
    values.resize(count, value);
    values
}

/// Asks the system to back a large place in huge pages as it is first written; it may decline.
/// On other systems than Linux without effect.
pub(crate) fn advise<T>(place: &mut [MaybeUninit<T>]) {
    if size_of_val(place) < LARGE {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        let page = rustix::param::page_size();
        let start = place.as_mut_ptr().cast::<u8>();
        let skipped = start.align_offset(page);
        let pages = size_of_val(place).saturating_sub(skipped) / page;
        // SAFETY: the range lies within the place, which is borrowed for writing; this advice
        // changes which pages back it and nothing else.
        let _ = unsafe {
            madvise(start.wrapping_add(skipped).cast(), pages * page, Advice::LinuxHugepage)
        };
    }
}
