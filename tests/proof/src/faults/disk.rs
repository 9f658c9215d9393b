//! A disk that takes no more. Full: the data directory is a small file system of its own, inside a mount namespace
//! that an ordinary user may make as well, and something else fills it. Read-only: see `shim/read-only-disk.c`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::scene::Scene;
use crate::drive::Database;

/// Room for a run's database several times over, and quickly filled.
const ROOM: &str = "size=96m";
const SHIM: &str = include_str!("../../shim/read-only-disk.c");

/// What Wharf sees of a server without room: every statement that would make a table grow fails with 53100. The server's
/// own folder stays as it is, because nobody but root could make that a file system of its own.
/// One table at a time, each in a transaction of its own: all of them at once would deadlock with Wharf's.
const NO_ROOM: &str = "do $$ declare name text; begin
    create function proof_no_room() returns trigger language plpgsql as
        'begin raise exception using errcode = ''53100'', message = ''no space left on device''; end';
    commit;
    for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('create trigger proof_no_room before insert or update on public.%I
                        for each statement execute function proof_no_room()', name);
        commit;
    end loop; end $$";
const ROOM_AGAIN: &str = "do $$ declare name text; begin
    for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('drop trigger proof_no_room on public.%I', name);
        commit;
    end loop;
    drop function proof_no_room(); end $$";

/// What starts Wharf on a small file system of its own.
///
/// # Errors
/// This machine lets nobody make one.
pub(super) fn small_disk(dir: &Path) -> Result<Vec<OsString>> {
    let tried = Command::new("/usr/bin/unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "/bin/sh",
            "-c",
            "mount -t tmpfs tmpfs /mnt",
        ])
        .output()
        .context("a full disk cannot be had here: there is no unshare (Debian: util-linux)")?;
    ensure!(
        tried.status.success(),
        "a full disk cannot be had here: this machine lets nobody mount a file system in a namespace ({})",
        String::from_utf8_lossy(&tried.stderr).trim()
    );
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let script = format!("mount -t tmpfs -o {ROOM},mode=700 tmpfs \"$0\" && exec \"$@\"");
    let words = [
        "/usr/bin/unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "/bin/sh",
        "-c",
        &script,
    ];
    let mut prefix: Vec<OsString> = words.map(OsString::from).to_vec();
    prefix.push(dir.as_os_str().to_owned());
    Ok(prefix)
}

/// What makes the disk of a program read-only on demand: the variables for the program, and the file that does it.
pub(super) struct Switch {
    pub environment: Vec<(String, String)>,
    pub flag: PathBuf,
}

/// Compiles the shim.
///
/// # Errors
/// There is no C compiler.
pub(super) fn read_only_switch(folder: &Path) -> Result<Switch> {
    let (source, library) = (folder.join("read-only-disk.c"), folder.join("read-only-disk.so"));
    fs::write(&source, SHIM).context("the shim cannot be written")?;
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .context("a read-only disk cannot be had here: there is no C compiler")?;
    ensure!(
        built.status.success(),
        "the shim does not compile: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    let flag = folder.join("disk-is-read-only");
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .context("the folder's name is not text")
    };
    Ok(Switch {
        environment: vec![
            ("LD_PRELOAD".to_owned(), text(&library)?),
            ("PROOF_READ_ONLY_IF".to_owned(), text(&flag)?),
        ],
        flag,
    })
}

/// A disk without room, and what makes room again.
enum Full {
    /// What fills it.
    Filler(PathBuf),
    /// The database whose server refuses to grow.
    Refusal(String),
}

impl Scene {
    pub(super) async fn fill_the_disk(&mut self) -> Result<()> {
        let began = self.begin("the disk is full");
        let full = self.fill()?;
        self.not_ready(&began).await?;
        self.work_for(self.window).await?;
        match full {
            Full::Filler(path) => fs::remove_file(path).context("the filler cannot be removed")?,
            Full::Refusal(database) => self.cluster()?.sql_in(&database, ROOM_AGAIN)?,
        }
        self.end(began).await
    }

    fn fill(&self) -> Result<Full> {
        if let Database::Postgres { cluster, url } = &self.stage.database {
            let database = url.rsplit('/').next().unwrap_or_default().to_owned();
            cluster.sql_in(&database, NO_ROOM)?;
            return Ok(Full::Refusal(database));
        }
        let dir = &self.stage.wharf.dir;
        // As the process sees it: the file system is mounted in its namespace alone.
        let root = PathBuf::from(format!("/proc/{}/root", self.wharf()?.id()));
        let filler = root.join(dir.strip_prefix("/").unwrap_or(dir)).join("filler");
        fill(&filler)?;
        Ok(Full::Filler(filler))
    }

    pub(super) async fn forbid_writing(&mut self) -> Result<()> {
        let began = self.begin("the disk is read-only");
        match (&self.stage.database, self.read_only_flag.clone()) {
            (Database::Postgres { cluster, .. }, _) => {
                cluster.sql("alter system set default_transaction_read_only = on")?;
                cluster.sql("select pg_reload_conf()")?;
            }
            (Database::Sqlite, Some(flag)) => {
                File::create(&flag).context("the disk cannot be made read-only")?;
            }
            (Database::Sqlite, None) => bail!("the shim is not there"),
        }
        self.not_ready(&began).await?;
        self.work_for(self.window).await?;
        match (&self.stage.database, self.read_only_flag.clone()) {
            (Database::Postgres { cluster, .. }, _) => {
                // Not a change of the database: a server that is read-only takes it.
                cluster.sql("alter system reset default_transaction_read_only")?;
                cluster.sql("select pg_reload_conf()")?;
            }
            (Database::Sqlite, Some(flag)) => {
                fs::remove_file(&flag).context("the disk cannot be made writable")?;
            }
            (Database::Sqlite, None) => {}
        }
        self.end(began).await
    }
}

/// Writes until there is no room.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    for size in [1 << 20, 1 << 12, 1] {
        let part = vec![7u8; size];
        loop {
            match file.write_all(&part) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error).context("the disk cannot be filled"),
            }
        }
    }
    Ok(())
}
