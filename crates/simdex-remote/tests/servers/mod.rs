//! Real servers for tests and benchmarks, each with a folder of its own, stopped when dropped; and a network that
//! breaks.
//!
//! `SIMDEX_TEST_CHROMA` names the program `chroma`, `SIMDEX_TEST_POSTGRES` the folder with
//! Postgres's programs, pgvector among its extensions, `SIMDEX_TEST_POSTGRES_TLS` the same of a
//! Postgres that was built with TLS. CI must set them; elsewhere the tests that need them may be left
//! out, which they say.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

/// The password of every server, to be looked for in whatever is printed and written.
pub const PASSWORD: &str = "hunter2-and-a-half";

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(value.is_some() || !in_ci, "{name} must be set in CI");
    if value.is_none() {
        eprintln!("left out: {name} is not set");
    }
    value
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Chroma server.
pub struct ChromaServer {
    program: PathBuf,
    folder: TempDir,
    pub port: u16,
    process: Option<Child>,
}

impl ChromaServer {
    /// A new one; `None` where Chroma is not installed.
    pub fn start() -> Option<Self> {
        variable("SIMDEX_TEST_CHROMA").map(Self::of)
    }

    /// A new one, which this program is.
    pub fn of(program: PathBuf) -> Self {
        let folder = TempDir::new().unwrap();
        let mut server = Self { program, folder, port: free_port(), process: None };
        server.run();
        server
    }

    fn run(&mut self) {
        let mut process = Command::new(&self.program)
            .args(["run", "--host", "127.0.0.1", "--port", &self.port.to_string(), "--path"])
            .arg(self.folder.path())
            .env("CHROMA_TELEMETRY_ENABLED", "false")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listens = |line: &std::io::Result<String>| line.as_ref().unwrap().contains("listening");
        assert!(lines.any(|line| listens(&line)), "Chroma ended instead of listening");
        thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it, as a machine does that loses power.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }
}

impl Drop for ChromaServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A Postgres cluster with a user `postgres`.
pub struct PostgresServer {
    programs: PathBuf,
    folder: TempDir,
    pub port: u16,
}

impl PostgresServer {
    /// A new one; `None` where Postgres is not installed.
    pub fn start() -> Option<Self> {
        variable("SIMDEX_TEST_POSTGRES").map(Self::of)
    }

    /// A new one of a Postgres that was built with TLS, perhaps without pgvector; `None` where there
    /// is none.
    pub fn start_with_tls() -> Option<Self> {
        variable("SIMDEX_TEST_POSTGRES_TLS").map(Self::of)
    }

    /// A new one, by the programs in this folder.
    pub fn of(programs: PathBuf) -> Self {
        let folder = TempDir::new().unwrap();
        let server = Self { programs, folder, port: free_port() };
        let password = server.folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        server.give_away();
        let options = ["-U", "postgres", "-A", "scram-sha-256", "--no-sync", "--pwfile"];
        let mut initdb = server.program("initdb");
        succeed(initdb.args(options).arg(&password).arg("-D").arg(server.data()));
        server.restart();
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Postgres does not run as root: the folder is another user's then, as its processes are.
    fn give_away(&self) {
        #[cfg(unix)]
        if let Some(user) = other_user() {
            for path in [self.folder.path(), &self.folder.path().join("password")] {
                std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
            }
        }
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path());
        #[cfg(unix)]
        if let Some(user) = other_user() {
            std::os::unix::process::CommandExt::uid(&mut command, user);
            std::os::unix::process::CommandExt::gid(&mut command, user);
        }
        command
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// The same without the password.
    pub fn plain_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it, or starts it again.
    pub fn restart(&self) {
        self.stop("fast");
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off",
            self.port
        );
        let log = self.folder.path().join("log");
        let mut start = self.program("pg_ctl");
        start.args(["-w", "-o", &options, "-D"]).arg(self.data());
        succeed(start.arg("-l").arg(log).arg("start"));
    }

    pub fn kill(&self) {
        self.stop("immediate");
    }

    fn stop(&self, mode: &str) {
        if self.data().join("postmaster.pid").exists() {
            let mut stop = self.program("pg_ctl");
            stop.args(["stop", "-w", "-m", mode, "-D"]).arg(self.data());
            let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }

    /// Makes it take encrypted connections alone, with this certificate and its key.
    pub fn encrypt(&self, certificate: &str, key: &str) {
        let write = |name: &str, text: &str, mode: u32| {
            let path = self.data().join(name);
            std::fs::write(&path, text).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::{PermissionsExt, chown};
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
                if let Some(user) = other_user() {
                    chown(&path, Some(user), Some(user)).unwrap();
                }
            }
        };
        write("server.crt", certificate, 0o644);
        write("server.key", key, 0o600);
        write("pg_hba.conf", "hostssl all all all scram-sha-256\n", 0o600);
        let settings = self.data().join("postgresql.conf");
        let mut settings = std::fs::OpenOptions::new().append(true).open(settings).unwrap();
        settings.write_all(b"ssl = on\n").unwrap();
        self.restart();
    }

    /// What it has written of what happened.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn succeed(command: &mut Command) {
    // Not its output: the server would keep a pipe open.
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// `nobody`, for who runs tests as root.
#[cfg(unix)]
fn other_user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let own = TempDir::new().unwrap();
    let root = std::fs::metadata(own.path()).unwrap().uid() == 0;
    root.then_some(65534)
}

/// A network that cuts connections: each after some thousand bytes, in either direction, as often
/// as is asked.
pub struct Cutter {
    pub port: u16,
    cuts: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Cutter {
    /// A way to `port` that breaks `cuts` times, at places that `seed` decides.
    pub fn before(port: u16, seed: u64, cuts: usize, most_bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let (left, ended) = (Arc::new(AtomicUsize::new(cuts)), Arc::new(AtomicBool::new(false)));
        let (counter, end) = (Arc::clone(&left), Arc::clone(&ended));
        thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(seed);
            for client in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let bytes = random.usize(0..most_bytes);
                pump_both(client, server, bytes, &counter);
            }
        });
        Self { port: own, cuts: left, ended }
    }

    /// How many cuts are still to come.
    pub fn left(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Carries bytes both ways until `budget` is used up, if there is a cut left for this connection.
fn pump_both(client: TcpStream, server: TcpStream, budget: usize, cuts: &Arc<AtomicUsize>) {
    let budget = Arc::new(Mutex::new(budget));
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (budget, cuts) = (Arc::clone(&budget), Arc::clone(cuts));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = from.read(&mut buffer) {
                if count == 0 || !passes(count, &budget, &cuts) {
                    break;
                }
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

fn passes(count: usize, budget: &Mutex<usize>, cuts: &AtomicUsize) -> bool {
    let mut budget = budget.lock().unwrap();
    if *budget == usize::MAX {
        return true;
    }
    if *budget >= count {
        *budget -= count;
        return true;
    }
    let taken = cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    // Without a cut left the connection holds for good.
    *budget = if taken.is_ok() { 0 } else { usize::MAX };
    taken.is_err()
}
