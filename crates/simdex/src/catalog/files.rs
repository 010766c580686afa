//! Writing files of ours: atomically, durably, and with the database's permissions.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::{NamedTempFile, TempDir};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Context, Error, ErrorKind, Result};

/// Names of files that are being written begin with this.
pub const TEMPORARY: &str = ".tmp-";

/// Who may read our files: whoever may read the database, since vectors leak content.
#[derive(Debug, Clone)]
pub struct Permissions {
    #[cfg(unix)]
    mode: u32,
    #[cfg(unix)]
    owner: (u32, u32),
}

impl Permissions {
    /// Those of the database.
    #[cfg(unix)]
    pub fn of(database: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { mode: database.mode() & 0o666, owner: (database.uid(), database.gid()) }
    }

    /// Those of the database; elsewhere files inherit their folder's.
    #[cfg(not(unix))]
    pub fn of(_: &Metadata) -> Self {
        Self {}
    }

    /// Gives a file these permissions; the owner may always write, or we could not go on.
    ///
    /// # Errors
    /// `Io` or `ReadOnly` when the system refuses.
    #[cfg(unix)]
    pub fn apply_to_file(&self, file: &File) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(self.mode | 0o600))?;
        // Only root may give files away; for others this changes nothing or fails harmlessly.
        let _ = std::os::unix::fs::fchown(file, Some(self.owner.0), Some(self.owner.1));
        Ok(())
    }

    /// Gives a file these permissions.
    ///
    /// # Errors
    /// None here.
    #[cfg(not(unix))]
    pub fn apply_to_file(&self, _: &File) -> Result<()> {
        Ok(())
    }

    /// Creates a folder with these permissions, if there is none; gives them to one that is there
    /// and has others, since the database's may have changed.
    ///
    /// # Errors
    /// `ReadOnly` or `Io` when the system refuses.
    pub fn create_folder(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            // One of somebody else's stays as it is.
            let _ = self.apply_to_folder(path);
            return Ok(());
        }
        match self.folder_builder().create(path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {
                Ok(())
            }
            made => {
                made.context("folder", path.display())?;
                self.apply_to_folder(path)
            }
        }
    }

    #[cfg(unix)]
    fn folder_mode(&self) -> u32 {
        // Who may read a file must be able to enter the folder.
        let mode = self.mode | 0o600;
        mode | ((mode & 0o444) >> 2)
    }

    /// Makes folders that are never more open than these permissions.
    fn folder_builder(&self) -> std::fs::DirBuilder {
        #[allow(unused_mut)]
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, self.folder_mode());
        builder
    }

    #[cfg(unix)]
    fn apply_to_folder(&self, path: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).context("folder", path.display())?.permissions().mode();
        if mode & 0o777 != self.folder_mode() {
            let permissions = std::fs::Permissions::from_mode(self.folder_mode());
            std::fs::set_permissions(path, permissions).context("folder", path.display())?;
        }
        let _ = std::os::unix::fs::chown(path, Some(self.owner.0), Some(self.owner.1));
        Ok(())
    }

    #[cfg(not(unix))]
    fn apply_to_folder(&self, _: &Path) -> Result<()> {
        Ok(())
    }
}

/// Adds the next step, where the place can't be written.
pub(super) fn unwritable(error: Error) -> Error {
    match error.kind() {
        ErrorKind::ReadOnly => error.hint(
            "name a folder for indexes that can be written with --index-dir or SIMDEX_INDEX_DIR",
        ),
        _ => error,
    }
}

/// A new file in `folder` under a temporary name, removed unless it is [`install`]ed.
///
/// # Errors
/// `ReadOnly` or `Io`.
pub fn temporary(folder: &Path, permissions: &Permissions) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .context("folder", folder.display())
        .map_err(unwritable)?;
    permissions.apply_to_file(file.as_file())?;
    Ok(file)
}

/// A new folder in `folder` under a temporary name, removed unless it is [`install_folder`]ed.
///
/// # Errors
/// `ReadOnly` or `Io`.
pub fn temporary_folder(folder: &Path, permissions: &Permissions) -> Result<TempDir> {
    let made = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempdir_in(folder)
        .context("folder", folder.display())
        .map_err(unwritable)?;
    permissions.apply_to_folder(made.path())?;
    Ok(made)
}

/// Gives a folder that others have filled our permissions and its name, and makes it durable.
///
/// # Errors
/// `ReadOnly` or `Io`.
pub fn install_folder(folder: &Path, path: &Path, permissions: &Permissions) -> Result<()> {
    settle(folder, permissions)?;
    remove_empty_folder(path);
    std::fs::rename(folder, path).context("path", path.display())?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Copies all files of `from`, and folders in it, into `to`, which exists.
///
/// # Errors
/// Those of the system.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).context("folder", from.display())? {
        let entry = entry.context("folder", from.display())?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().context("path", source.display())?.is_dir() {
            std::fs::create_dir(&target).context("folder", target.display())?;
            copy_folder(&source, &target)?;
        } else {
            std::fs::copy(&source, &target).context("path", source.display())?;
        }
    }
    Ok(())
}

/// Applies permissions to all that is in a folder, and syncs it.
fn settle(folder: &Path, permissions: &Permissions) -> Result<()> {
    for entry in std::fs::read_dir(folder).context("folder", folder.display())? {
        let path = entry.context("folder", folder.display())?.path();
        if path.is_dir() {
            permissions.apply_to_folder(&path)?;
            settle(&path, permissions)?;
        } else {
            let file = File::open(&path).context("path", path.display())?;
            permissions.apply_to_file(&file)?;
            file.sync_all().context("path", path.display())?;
        }
    }
    sync_folder(folder)
}

/// Gives a finished (synced) file its name in one step, replacing what has it.
///
/// # Errors
/// `ReadOnly` or `Io`.
pub fn install(file: NamedTempFile, path: &Path) -> Result<()> {
    remove_empty_folder(path);
    file.persist(path).map_err(|error| error.error).context("path", path.display())?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// A folder has no business where a file of ours belongs; one that holds something stays.
fn remove_empty_folder(path: &Path) {
    if path.is_dir() {
        let _ = std::fs::remove_dir(path);
    }
}

/// Refuses what is there but is no file: a folder, or a pipe that would block who opens it.
///
/// # Errors
/// `Damaged`; `NotFound`; those of the system.
pub fn expect_file(path: &Path) -> Result<()> {
    match std::fs::metadata(path).context("path", path.display())?.is_file() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Damaged, "this is not a file")
            .with("path", path.display())
            .hint("remove what is in its place")),
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> Result<()> {
    // Windows can't open folders as files and does not need this.
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).context("folder", folder.display())?;
    }
    Ok(())
}

/// First line of a JSON file of ours.
#[derive(Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    simdex: u32,
    xxh3: String,
}

/// The version of our JSON files.
const JSON_VERSION: u32 = 1;

/// Reads a JSON file of ours: a header line with version and checksum, then the value.
/// `None` where there is no file.
///
/// # Errors
/// `Damaged` when it is truncated, altered, foreign or from a later version.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match expect_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        checked => checked?,
    }
    match std::fs::read(path) {
        Ok(bytes) => {
            parse_json(&bytes).map(Some).map_err(|error| error.with("path", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("path", path.display()),
    }
}

/// The value in the bytes of a JSON file of ours.
///
/// # Errors
/// `Damaged`.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let damaged = |message: String| Error::new(ErrorKind::Damaged, message);
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (line, body) = bytes.split_at(end);
    let body = body.get(1..).unwrap_or(&[]);
    let header: Header = serde_json::from_slice(line)
        .map_err(|error| damaged("this is not a file of simdex".into()).source(error))?;
    if header.simdex != JSON_VERSION {
        return Err(damaged(format!(
            "the file has format version {}, this simdex reads version {JSON_VERSION}",
            header.simdex
        ))
        .hint("use the version of simdex that wrote it, or a later one"));
    }
    // The line must be the one we would write, so that no altered byte in it goes unnoticed.
    if line != header_line(body).as_bytes() {
        return Err(damaged("the checksum of the file does not match".into()));
    }
    serde_json::from_slice(body)
        .map_err(|error| damaged("the file can't be understood".into()).source(error))
}

fn header_line(body: &[u8]) -> String {
    format!("{{\"simdex\":{JSON_VERSION},\"xxh3\":\"{:016x}\"}}", xxh3_64(body))
}

/// Writes a JSON file of ours atomically and durably.
///
/// # Errors
/// `ReadOnly` or `Io`, as on a full disk; then the old file is as it was.
pub fn write_json<T: Serialize>(path: &Path, value: &T, permissions: &Permissions) -> Result<()> {
    use std::io::Write;
    let mut body = serde_json::to_vec_pretty(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "a value has no JSON form").source(error)
    })?;
    body.push(b'\n');
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = temporary(folder, permissions)?;
    let written = writeln!(file, "{}", header_line(&body)).and_then(|()| file.write_all(&body));
    written.and_then(|()| file.as_file().sync_all()).context("path", path.display())?;
    install(file, path)
}

/// An exclusive lock on a folder of ours, held until dropped; the system drops it when we die.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a program that another thread is starting holds the file until it
        // runs. What fails here is mended by closing.
        let _ = self.file.unlock();
    }
}

/// Whether to wait for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until it is free.
    Yes,
    /// Fail with `Busy` if it is taken.
    No,
}

impl Lock {
    /// Locks `folder`, which must exist.
    ///
    /// # Errors
    /// `Busy` when it is taken and `wait` is [`Wait::No`]; `ReadOnly` or `Io`.
    pub fn take(folder: &Path, wait: Wait, permissions: &Permissions) -> Result<Self> {
        let path = lock_path(folder);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        remove_empty_folder(&path);
        let existed = path.exists();
        let file = options.open(&path).context("path", path.display()).map_err(unwritable)?;
        if !existed {
            permissions.apply_to_file(&file)?;
        }
        match wait {
            Wait::Yes => file.lock().context("path", path.display())?,
            Wait::No => file.try_lock().map_err(|_| {
                Error::new(ErrorKind::Busy, "another process is writing this index")
                    .with("folder", folder.display())
            })?,
        }
        Ok(Self { file })
    }
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions() -> Permissions {
        Permissions::of(&tempfile::tempfile().unwrap().metadata().unwrap())
    }

    #[test]
    fn every_flipped_byte_of_a_json_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let value = serde_json::json!({"name": "posts", "rows": 3});
        write_json(&path, &value, &permissions()).unwrap();
        assert_eq!(read_json::<serde_json::Value>(&path).unwrap(), Some(value));
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let error = parse_json::<serde_json::Value>(&bad).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Damaged, "byte {at} bit {bit}");
            }
        }
        for length in 0..good.len() {
            let error = parse_json::<serde_json::Value>(&good[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged, "length {length}");
        }
    }

    #[test]
    fn a_lock_is_exclusive_and_ends_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let take = || Lock::take(folder.path(), Wait::No, &permissions());
        let held = take().unwrap();
        assert_eq!(take().unwrap_err().kind(), ErrorKind::Busy);
        // As of a program that is being started.
        let _inherited = held.file.try_clone().unwrap();
        drop(held);
        take().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn files_are_as_private_as_the_database() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        std::fs::write(&database, "").unwrap();
        for (mode, file_mode, folder_mode) in [
            (0o600, 0o600, 0o700),
            (0o640, 0o640, 0o750),
            (0o444, 0o644, 0o755),
            (0o660, 0o660, 0o770),
        ] {
            let access = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&database, access).unwrap();
            let permissions = Permissions::of(&database.metadata().unwrap());
            let inside = folder.path().join(format!("{mode:o}"));
            permissions.create_folder(&inside).unwrap();
            write_json(&inside.join("x"), &1, &permissions).unwrap();
            Lock::take(&inside, Wait::No, &permissions).unwrap();
            let bits = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(bits(&inside), folder_mode);
            assert_eq!(bits(&inside.join("x")), file_mode);
            assert_eq!(bits(&inside.join("lock")), file_mode);
        }
    }
}
