//! Has a file changed? Answered from `stat` alone, without opening it.
//!
//! Opening and closing a database's files by hand would drop the POSIX locks that SQLite holds on
//! them elsewhere in this process, so identities come from metadata only.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};

/// How long a file must have been left alone before its identity is trusted.
///
/// A change made within the clock's grain of an earlier one leaves the times as they were: 4 to
/// 10 ms on most file systems, 2 s on FAT. And a commit in WAL mode becomes visible only after its
/// frames are on disk, so a reader may see new times with old rows while the writer waits for
/// `fsync`. Two quiet seconds cover both (git treats racy index entries alike).
pub const QUIET: Duration = Duration::from_secs(2);

/// What `stat` says of a file. Equal identities, once [settled](Self::is_settled): the same content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    /// Nanoseconds since 1970; programs can't set it, so it catches `touch -d` and `cp -p`.
    changed: i64,
}

impl FileIdentity {
    /// The identity of the file at `path`, or `None` where there is none.
    ///
    /// # Errors
    /// When the file system refuses to say.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::from_metadata(&metadata))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("path", path.display()),
        }
    }

    #[cfg(unix)]
    fn from_metadata(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn from_metadata(metadata: &std::fs::Metadata) -> Self {
        let nanoseconds = |time: std::io::Result<SystemTime>| time.map_or(0, since_1970);
        Self {
            device: 0,
            inode: 0,
            size: metadata.len(),
            modified: nanoseconds(metadata.modified()),
            changed: nanoseconds(metadata.created()),
        }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the file had been left alone for `quiet` at `now`. Never so for a file from the
    /// future: the clock went back, and times prove nothing until it has caught up.
    pub fn is_settled(&self, quiet: Duration, now: SystemTime) -> bool {
        let youngest = self.modified.max(self.changed);
        let quiet = i64::try_from(quiet.as_nanos()).unwrap_or(i64::MAX);
        since_1970(now).checked_sub(youngest).is_some_and(|age| age >= quiet)
    }

    /// Whether the file system seems to keep times in whole seconds.
    pub fn is_coarse(&self) -> bool {
        self.changed % 1_000_000_000 == 0
    }
}

fn since_1970(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// What `stat` says of a database and its write-ahead log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseIdentity {
    main: FileIdentity,
    /// `None` while there is no log or an empty one: readers come and go with empty logs.
    wal: Option<FileIdentity>,
}

impl DatabaseIdentity {
    /// The identity of the database at `path`, which must not be a symbolic link (SQLite names the
    /// log after the resolved path). `None` where there is no file.
    ///
    /// # Errors
    /// When the file system refuses to say.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        let Some(main) = FileIdentity::of(path)? else { return Ok(None) };
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let wal = FileIdentity::of(Path::new(&wal))?.filter(|file| file.size > 0);
        // SQLite run by root sets the log's owner each time it opens it, which counts as a change.
        let wal = wal.map(|wal| FileIdentity { changed: wal.modified, ..wal });
        Ok(Some(Self { main, wal }))
    }

    /// Whether both are of the very same database file, whatever is in it.
    pub fn is_of_same_file(&self, other: &Self) -> bool {
        (self.main.device, self.main.inode) == (other.main.device, other.main.inode)
    }

    /// Whether both files had been left alone for [`QUIET`] at `now`.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        self.main.is_settled(QUIET, now)
            && self.wal.as_ref().is_none_or(|wal| wal.is_settled(QUIET, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(modified: i64, changed: i64) -> FileIdentity {
        FileIdentity { device: 1, inode: 2, size: 3, modified, changed }
    }

    #[test]
    fn a_file_settles_after_the_quiet_time() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        let seconds = 1_000_000_000;
        assert!(identity(98 * seconds, 90 * seconds).is_settled(QUIET, now));
        assert!(!identity(98 * seconds + 1, 90 * seconds).is_settled(QUIET, now));
        assert!(!identity(90 * seconds, 99 * seconds).is_settled(QUIET, now), "ctime counts");
        assert!(!identity(200 * seconds, 0).is_settled(QUIET, now), "from the future");
        assert!(!identity(i64::MAX, i64::MAX).is_settled(QUIET, now));
        assert!(identity(i64::MIN + seconds, i64::MIN).is_settled(QUIET, UNIX_EPOCH - QUIET));
    }

    #[test]
    fn an_empty_log_is_no_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        assert_eq!(DatabaseIdentity::of(&path).unwrap(), None);
        std::fs::write(&path, "x").unwrap();
        let alone = DatabaseIdentity::of(&path).unwrap();
        std::fs::write(folder.path().join("a.db-wal"), "").unwrap();
        assert_eq!(DatabaseIdentity::of(&path).unwrap(), alone);
        std::fs::write(folder.path().join("a.db-wal"), "frames").unwrap();
        assert_ne!(DatabaseIdentity::of(&path).unwrap(), alone);
    }
}
