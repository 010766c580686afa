//! How much memory the process held at most, where the system tells.

/// Forgets the peak so far, so that [`peak`] tells of what follows.
///
/// Best effort: where the system won't, the peak stays that of the whole process.
#[cfg(target_os = "linux")]
pub(super) fn forget_peak() {
    // proc_pid_clear_refs(5): writing 5 resets the peak resident set size to the current one.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident set of the process since [`forget_peak`], in bytes.
#[cfg(target_os = "linux")]
pub(super) fn peak() -> Option<u64> {
    high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn forget_peak() {}

#[cfg(not(target_os = "linux"))]
pub(super) fn peak() -> Option<u64> {
    None
}

/// `VmHWM` of a `/proc/PID/status`, in bytes.
#[cfg(any(target_os = "linux", test))]
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found() {
        let status = "Name:\tx\nVmPeak:\t    9 kB\nVmHWM:\t   1234 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(high_water_mark(status), Some(1234 * 1024));
        assert_eq!(high_water_mark("VmHWM:\t x kB"), None);
        assert_eq!(high_water_mark(""), None);
    }
}
