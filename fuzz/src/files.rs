//! Where targets put files.

use std::path::{Path, PathBuf};

/// Writes the seeds of the running target, when it is asked to.
pub(crate) fn seeds(seeds: &[Vec<u8>]) {
    let Some(folder) = std::env::var_os("SIMDEX_FUZZ_SEEDS") else { return };
    for (number, bytes) in seeds.iter().enumerate() {
        std::fs::write(Path::new(&folder).join(format!("seed-{number}")), bytes)
            .expect("the folder of seeds can be written");
    }
}

/// A folder for what one target writes; each run writes over what the last one left.
pub(crate) fn scratch(target: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/scratch").join(target);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}
