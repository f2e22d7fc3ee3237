//! A disk made of files: each zone is one, and the bytes are those that the replica asked for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use vsr_core::configuration::Configuration;
use vsr_core::io::{Effect, Effects, Zone};
use vsr_core::number::ReplicaIndex;

/// The files of one replica.
#[derive(Debug)]
pub(crate) struct Disk {
    superblock: ZoneFile,
    headers: ZoneFile,
    prepares: ZoneFile,
    snapshots: ZoneFile,
}

#[derive(Debug)]
struct ZoneFile {
    file: File,
    /// Whether anything was written since the last `sync`.
    is_dirty: bool,
}

impl Disk {
    /// Makes the files of a replica that was never started.
    pub(crate) fn format(
        folder: &Path,
        configuration: &Configuration,
        me: ReplicaIndex,
    ) -> io::Result<()> {
        fs::create_dir(folder)?;
        let mut disk = Self::open(folder)?;
        let mut effects = Effects::new();
        vsr_core::format(configuration, me, &mut effects);
        let (list, bytes) = effects.drain();
        for effect in list {
            if let Effect::Write { zone, offset, bytes: range, .. } = effect {
                disk.write(zone, offset, &bytes[range])?;
            }
        }
        disk.sync()?;
        // The names of the files are to be durable too.
        File::open(folder)?.sync_all()
    }

    /// Opens what is there; what is missing is empty.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let open = |name| {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            options.open(folder.join(name)).map(|file| ZoneFile { file, is_dirty: false })
        };
        Ok(Self {
            superblock: open("superblock")?,
            headers: open("headers")?,
            prepares: open("prepares")?,
            snapshots: open("snapshots")?,
        })
    }

    const fn zone(&mut self, zone: Zone) -> &mut ZoneFile {
        match zone {
            Zone::Superblock => &mut self.superblock,
            Zone::Headers => &mut self.headers,
            Zone::Prepares => &mut self.prepares,
            Zone::Snapshots => &mut self.snapshots,
        }
    }

    /// Hands bytes to the operating system: they are durable only after the next [`Disk::sync`].
    pub(crate) fn write(&mut self, zone: Zone, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let zone = self.zone(zone);
        zone.is_dirty = true;
        zone.file.seek(SeekFrom::Start(offset))?;
        zone.file.write_all(bytes)
    }

    /// Makes all that was written durable. A failure is final: what the pages hold after it is anybody's guess.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let zones =
            [&mut self.superblock, &mut self.headers, &mut self.prepares, &mut self.snapshots];
        for zone in zones {
            if zone.is_dirty {
                zone.file.sync_data()?;
                zone.is_dirty = false;
            }
        }
        Ok(())
    }

    /// Reads exactly `size` bytes; those behind the end of the file are zero.
    pub(crate) fn read(&mut self, zone: Zone, offset: u64, size: u32) -> io::Result<Vec<u8>> {
        let zone = self.zone(zone);
        let mut bytes = Vec::new();
        zone.file.seek(SeekFrom::Start(offset))?;
        (&zone.file).take(u64::from(size)).read_to_end(&mut bytes)?;
        bytes.resize(usize::try_from(size).expect("fits in memory"), 0);
        Ok(bytes)
    }
}
