//! A segment: one immutable file of named, aligned, checksummed arrays. FORMAT.md, "Segments".
//!
//! ```text
//! 0     magic (8) · version (4) · sections (4) · file length (8) · id (16) · zero (16) · header checksum (8)
//! 64    63 entries: name (32, zero-padded) · offset (8) · length (8) · checksum (8) · zero (8)
//! 4096  the sections, each at a multiple of 64, zeros between them
//! ```
//! All numbers are little-endian; checksums are XXH3-64 with seed 0.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::matrix::{ALIGNMENT, Origin, Slab};

/// First bytes of every segment. The first is not ASCII and line ends follow, as in PNG, so that a
/// transfer as text shows.
pub const MAGIC: [u8; 8] = *b"\x89SDX\r\n\x1a\n";

/// The version of the format that this code writes and reads.
pub const VERSION: u32 = 1;

const HEADER: usize = 4096;
const ENTRY: usize = 64;
const NAME: usize = 32;
const MOST_SECTIONS: usize = HEADER / ENTRY - 1;

/// Identifies a segment's content: 16 random bytes, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentId([u8; 16]);

impl SegmentId {
    /// A new random id.
    ///
    /// # Errors
    /// `Io` when the system has no entropy to give.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::new(ErrorKind::Io, "the system gives no random numbers").source(error)
        })?;
        Ok(Self(bytes))
    }

    /// A number that nobody can foresee.
    pub fn seed(&self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Debug, Clone)]
struct Section {
    range: Range<usize>,
    checksum: u64,
}

/// Writes a segment front to back; nothing is a segment until [`SegmentWriter::finish`].
pub struct SegmentWriter {
    file: BufWriter<File>,
    position: u64,
    sections: Vec<(String, Range<u64>, u64)>,
    open: Option<OpenSection>,
}

struct OpenSection {
    name: String,
    start: u64,
    hash: Box<Xxh3>,
}

impl std::fmt::Debug for SegmentWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegmentWriter({} bytes)", self.position)
    }
}

impl SegmentWriter {
    /// Starts a segment in an empty file.
    ///
    /// # Errors
    /// `Io` when the file can't be written.
    pub fn new(file: File) -> Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&[0; HEADER])?;
        Ok(Self { file, position: HEADER as u64, sections: Vec::new(), open: None })
    }

    /// Starts the section `name`; bytes follow with [`SegmentWriter::append`].
    ///
    /// # Errors
    /// `Io`; `Internal` for a name or number of sections that the format has no room for.
    pub fn begin(&mut self, name: &str) -> Result<()> {
        self.end()?;
        if name.len() > NAME || name.is_empty() || self.sections.len() == MOST_SECTIONS {
            let message = format!("section `{name}` does not fit a segment");
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let gap = self.position.next_multiple_of(ALIGNMENT as u64) - self.position;
        self.file.write_all(&[0; ALIGNMENT][..gap as usize])?;
        self.position += gap;
        let hash = Box::new(Xxh3::new());
        self.open = Some(OpenSection { name: name.to_owned(), start: self.position, hash });
        Ok(())
    }

    /// Adds bytes to the section begun last.
    ///
    /// # Errors
    /// `Io` when the file can't be written, as on a full disk.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(section) = &mut self.open {
            section.hash.update(bytes);
        }
        self.file.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes a whole section.
    ///
    /// # Errors
    /// As [`SegmentWriter::begin`] and [`SegmentWriter::append`].
    pub fn section<T: Pod>(&mut self, name: &str, values: &[T]) -> Result<()> {
        self.begin(name)?;
        self.append(bytemuck::cast_slice(values))
    }

    /// The file so far, flushed, for mapping what is written.
    ///
    /// # Errors
    /// `Io` when the file can't be written.
    pub fn flushed(&mut self) -> Result<&File> {
        self.end()?;
        self.file.flush()?;
        Ok(self.file.get_ref())
    }

    /// Where a finished section lies in the file.
    pub fn range(&self, name: &str) -> Option<Range<usize>> {
        let (_, range, _) = self.sections.iter().find(|(known, ..)| known == name)?;
        Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    }

    fn end(&mut self) -> Result<()> {
        if let Some(OpenSection { name, start, hash }) = self.open.take() {
            self.sections.push((name, start..self.position, hash.digest()));
        }
        Ok(())
    }

    /// Writes the header and makes the file durable. Returns the segment's id.
    ///
    /// # Errors
    /// `Io` when the file can't be written.
    pub fn finish(mut self) -> Result<SegmentId> {
        self.end()?;
        let id = SegmentId::random()?;
        let mut header = vec![0_u8; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(self.sections.len() as u32).to_le_bytes());
        header[16..24].copy_from_slice(&self.position.to_le_bytes());
        header[24..40].copy_from_slice(&id.0);
        for ((name, range, checksum), entry) in
            self.sections.iter().zip(header[ENTRY..].chunks_exact_mut(ENTRY))
        {
            entry[..name.len()].copy_from_slice(name.as_bytes());
            entry[32..40].copy_from_slice(&range.start.to_le_bytes());
            entry[40..48].copy_from_slice(&(range.end - range.start).to_le_bytes());
            entry[48..56].copy_from_slice(&checksum.to_le_bytes());
        }
        let checksum = xxh3_64(&header);
        header[56..64].copy_from_slice(&checksum.to_le_bytes());
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(id)
    }
}

/// An open segment: a mapped file whose header has been checked.
#[derive(Debug, Clone)]
pub struct Segment {
    map: Arc<memmap2::Mmap>,
    path: PathBuf,
    id: SegmentId,
    sections: BTreeMap<String, Section>,
}

impl Segment {
    /// Maps the file at `path` and checks its header; O(1), the sections are not read.
    ///
    /// # Errors
    /// `NotFound`; `Damaged` for a file that is truncated, altered, foreign or from a later version.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).context("path", path.display())?;
        let map = map(&file).context("path", path.display())?;
        let (id, sections) = parse(&map).map_err(|error| error.with("path", path.display()))?;
        Ok(Self { map: Arc::new(map), path: path.to_owned(), id, sections })
    }

    /// Where a section is on disk.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        let offset = self.sections.get(name)?.range.start as u64;
        Some(Origin { path: self.path.clone(), offset })
    }

    /// The segment's id.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// The names of the sections.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    /// A section as an array.
    ///
    /// # Errors
    /// `Damaged` when it is missing or not a whole number of `T`.
    pub fn section<T: Pod>(&self, name: &str) -> Result<Slab<T>> {
        let section = self.sections.get(name).ok_or_else(|| {
            Error::new(ErrorKind::Damaged, format!("the segment has no section `{name}`"))
        })?;
        Slab::from_map(&self.map, section.range.clone())
            .map_err(|error| error.with("section", name))
    }

    /// Recomputes every checksum. O(size).
    ///
    /// # Errors
    /// `Damaged`, naming the section.
    pub fn check(&self) -> Result<()> {
        for (name, section) in &self.sections {
            let bytes = self.map.get(section.range.clone()).unwrap_or(&[]);
            let found = xxh3_64(bytes);
            if found != section.checksum {
                let message = format!(
                    "checksum of section `{name}` is {found:016x}, expected {:016x}",
                    section.checksum
                );
                return Err(Error::new(ErrorKind::Damaged, message));
            }
        }
        // What no section covers is zero, so that every byte of the file is accounted for.
        let mut position = HEADER;
        let mut ranges: Vec<_> = self.sections.values().map(|section| &section.range).collect();
        ranges.sort_by_key(|range| range.start);
        let gaps = ranges.iter().map(|range| {
            let gap = position.min(range.start)..range.start;
            position = position.max(range.end);
            gap
        });
        let filled = gaps.flat_map(|gap| self.map.get(gap).unwrap_or(&[])).any(|&byte| byte != 0);
        if filled {
            return Err(Error::new(ErrorKind::Damaged, "bytes between sections are not zero"));
        }
        Ok(())
    }
}

/// Maps a file of ours.
///
/// # Errors
/// `Io` when the system can't map it.
#[allow(unsafe_code)]
pub fn map(file: &File) -> Result<memmap2::Mmap> {
    // SAFETY: segments are immutable: they are written under a temporary name, renamed into place,
    // and only ever unlinked after that, which leaves the mapped inode alone. Who truncates one by
    // hand while a search runs gets a SIGBUS, as with any program that maps its files.
    Ok(unsafe { memmap2::Mmap::map(file)? })
}

/// Checks a header and returns the id and the sections, each within the file.
///
/// # Errors
/// `Damaged`.
fn parse(bytes: &[u8]) -> Result<(SegmentId, BTreeMap<String, Section>)> {
    let damaged = |message: String| Error::new(ErrorKind::Damaged, message);
    let header: &[u8; HEADER] = bytes
        .first_chunk()
        .ok_or_else(|| damaged(format!("{} bytes are too few for a segment", bytes.len())))?;
    let word = |at: usize| {
        let bytes = header.get(at..at + 8).and_then(|b| b.try_into().ok()).unwrap_or([0; 8]);
        u64::from_le_bytes(bytes)
    };
    if header[..8] != MAGIC {
        return Err(damaged("this is not a simdex segment".into()));
    }
    let (version, count) = ((word(8) & 0xffff_ffff) as u32, (word(8) >> 32) as usize);
    if version != VERSION {
        return Err(damaged(format!(
            "the segment has format version {version}, this simdex reads version {VERSION}"
        )));
    }
    let mut unsigned = *header;
    unsigned[56..64].fill(0);
    if xxh3_64(&unsigned) != word(56) {
        return Err(damaged("the checksum of the segment's header does not match".into()));
    }
    if word(16) != bytes.len() as u64 {
        return Err(damaged(format!(
            "the segment has {} bytes, expected {}",
            bytes.len(),
            word(16)
        )));
    }
    let mut id = [0; 16];
    id.copy_from_slice(&header[24..40]);
    if count > MOST_SECTIONS {
        return Err(damaged(format!("{count} sections, a segment has at most {MOST_SECTIONS}")));
    }
    let mut sections = BTreeMap::new();
    let entries = header[ENTRY..].chunks_exact(ENTRY).take(count);
    for (index, entry) in entries.enumerate() {
        let at = ENTRY * (index + 1);
        let name = entry[..NAME].split(|&byte| byte == 0).next().unwrap_or(&[]);
        let name = String::from_utf8_lossy(name).into_owned();
        let (start, length) = (word(at + 32), word(at + 40));
        let range = start.checked_add(length).and_then(|end| {
            let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
            let aligned = range.start.is_multiple_of(ALIGNMENT) && range.start >= HEADER;
            (aligned && range.end <= bytes.len()).then_some(range)
        });
        let Some(range) = range else {
            return Err(damaged(format!("section `{name}` lies outside the file")));
        };
        if sections.contains_key(&name) {
            return Err(damaged(format!("there are two sections `{name}`")));
        }
        sections.insert(name, Section { range, checksum: word(at + 48) });
    }
    Ok((SegmentId(id), sections))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(path: &Path) -> SegmentId {
        let mut writer = SegmentWriter::new(File::create(path).unwrap()).unwrap();
        writer.section("numbers", &[1_u32, 2, 3]).unwrap();
        writer.section("empty", &[] as &[u8]).unwrap();
        writer.begin("text").unwrap();
        writer.append(b"one").unwrap();
        writer.append(b"two").unwrap();
        writer.finish().unwrap()
    }

    fn read(path: &Path) -> Result<Vec<u8>> {
        let segment = Segment::open(path)?;
        segment.check()?;
        let numbers: Slab<u32> = segment.section("numbers")?;
        let text: Slab<u8> = segment.section("text")?;
        let empty: Slab<u8> = segment.section("empty")?;
        let mut all: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        all.extend_from_slice(&text);
        all.extend_from_slice(&empty);
        Ok(all)
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let id = write(&path);
        assert_eq!(Segment::open(&path).unwrap().id(), id);
        assert_eq!(
            read(&path).unwrap(),
            [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, b'o', b'n', b'e', b't', b'w', b'o']
        );
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::Damaged, "byte {at}");
        }
        for length in (0..good.len()).step_by(7) {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::Damaged, "length {length}");
        }
        std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::Damaged, "longer");
    }

    #[test]
    fn a_later_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 9;
        std::fs::write(&path, &bytes).unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("format version 9, this simdex reads version 1"), "{message}");
    }

    /// A segment whose header is `header`, its checksum put right.
    fn resealed(mut header: Vec<u8>) -> Vec<u8> {
        header[56..64].fill(0);
        let checksum = xxh3_64(&header[..HEADER]);
        header[56..64].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    #[test]
    fn two_sections_of_one_name_and_too_many_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path);
        let good = std::fs::read(&path).unwrap();
        let mut twice = good.clone();
        twice.copy_within(64..96, 128);
        let message = parse(&resealed(twice)).unwrap_err().to_string();
        assert!(message.contains("two sections `numbers`"), "{message}");
        let mut many = good;
        many[12] = 64;
        let message = parse(&resealed(many)).unwrap_err().to_string();
        assert!(message.contains("64 sections"), "{message}");
    }

    proptest! {
        /// A header with a right checksum and hostile numbers leads nowhere outside the file.
        #[test]
        fn hostile_numbers_stay_inside(offset in any::<u64>(), length in any::<u64>(), count in any::<u32>()) {
            let mut bytes = vec![0_u8; HEADER + 128];
            bytes[..8].copy_from_slice(&MAGIC);
            bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
            bytes[12..16].copy_from_slice(&count.to_le_bytes());
            let total = bytes.len() as u64;
            bytes[16..24].copy_from_slice(&total.to_le_bytes());
            bytes[64] = b'x';
            bytes[96..104].copy_from_slice(&offset.to_le_bytes());
            bytes[104..112].copy_from_slice(&length.to_le_bytes());
            let checksum = xxh3_64(&bytes[..HEADER]);
            bytes[56..64].copy_from_slice(&checksum.to_le_bytes());
            if let Ok((_, sections)) = parse(&bytes) {
                for section in sections.values() {
                    prop_assert!(bytes.get(section.range.clone()).is_some());
                }
            }
        }
    }
}
