//! Calls: one request, one reply, and everything that can go wrong between them.
//!
//! JSON-RPC on lines is a few types of serde's; crates for it bring an async runtime or another
//! framing, and hide from us what must be told apart here: no JSON, no reply, another's reply.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use simdex_plugin::{
    Call, Code, DescribeParams, Description, PROTOCOL, Progress, Reply, Request, Version,
};

use crate::error::{Error, ErrorKind, Result};
use crate::index::plugin::process::{Limits, Process, Silence};
use crate::index::plugin::registry::Plugins;
use crate::observe::Observer;

/// A plugin that has said what it can do.
#[derive(Debug)]
pub(super) struct Session {
    name: String,
    /// `None` once it has misbehaved: it is not asked again.
    process: Option<Process>,
    description: Description,
    limits: Limits,
    next_id: u64,
}

/// How a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The process had ended by itself; a new one may do better.
    Ended(Error),
    /// All else.
    Other(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Ended(error) | Failure::Other(error) => error,
        }
    }
}

impl Session {
    /// Starts a plugin and asks what it can do.
    ///
    /// # Errors
    /// `Plugin` when it is not installed, can't be started, speaks another protocol or misbehaves.
    pub(super) fn start(name: &str, plugins: &Plugins, observer: &dyn Observer) -> Result<Self> {
        let limits = plugins.limits();
        let path = plugins.find(name)?;
        let process =
            Process::start(&path, limits.answer).map_err(|error| error.with("plugin", name))?;
        let mut session = Self {
            name: name.to_owned(),
            process: Some(process),
            description: Description::new(name, "", "", []),
            limits,
            next_id: 1,
        };
        let simdex = env!("CARGO_PKG_VERSION").to_owned();
        let ask = Call::Describe(DescribeParams { protocol: PROTOCOL, simdex });
        // Read in two steps, so that one of another protocol is named as such.
        let answer: Value = session.call(ask, observer)?;
        if let Some(other) = answer.get("protocol").filter(|&spoken| *spoken != PROTOCOL) {
            let message = format!("it speaks protocol {other}, this simdex speaks {PROTOCOL}");
            return Err(session.misbehaved("describe", &message));
        }
        session.description = serde_json::from_value(answer).map_err(|error| {
            session.misbehaved("describe", &format!("its description can't be read: {error}"))
        })?;
        Ok(session)
    }

    /// What it can do.
    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    /// Asks, waits, and reads the result.
    ///
    /// # Errors
    /// `Invalid` when the plugin says that options can't be used; `Plugin`; `Cancelled`. After any
    /// but an error that the plugin itself reported, the process is ended.
    pub(super) fn call<T: DeserializeOwned>(
        &mut self,
        call: Call,
        observer: &dyn Observer,
    ) -> Result<T, Failure> {
        let method = call.method();
        let result = self.exchange(call, observer)?;
        serde_json::from_value(result).map_err(|error| {
            Failure::Other(self.misbehaved(method, &format!("its answer makes no sense: {error}")))
        })
    }

    fn exchange(&mut self, call: Call, observer: &dyn Observer) -> Result<Value, Failure> {
        let method = call.method();
        let limit = self.limit(&call);
        let id = self.next_id;
        self.next_id += 1;
        let line = serde_json::to_vec(&Request { jsonrpc: Version::V2, id, call });
        let line = line.map_err(|error| {
            // A path that is no Unicode has no place in JSON.
            let error = Error::new(ErrorKind::Plugin, "a request can't be written").source(error);
            Failure::Other(error.with("plugin", &self.name))
        })?;
        match &self.process {
            Some(process) => process.send(line),
            None => return Err(Failure::Other(self.error(method, "it was ended"))),
        }
        let mut deadline = Instant::now() + limit;
        loop {
            let line = self.receive(method, deadline, limit, observer)?;
            let message: Value = serde_json::from_slice(&line).map_err(|error| {
                let shown = shown(&line);
                let what = format!("it answered {shown}, which is not JSON: {error}");
                Failure::Other(self.misbehaved(method, &what))
            })?;
            if let Some(progress) = as_progress(&message) {
                observer.progress(
                    &format!("{} ({method})", self.name),
                    progress.done,
                    progress.total,
                );
                deadline = Instant::now() + limit;
                continue;
            }
            return self.result(method, id, message);
        }
    }

    fn limit(&self, call: &Call) -> Duration {
        match call {
            Call::Describe(_) => self.limits.describe,
            Call::Build(_) | Call::Apply(_) => self.limits.build,
            Call::Open(_) | Call::Stats(_) | Call::Close(_) => self.limits.open,
            Call::Search(_) | Call::Drop(_) => self.limits.search,
        }
    }

    fn receive(
        &mut self,
        method: &str,
        deadline: Instant,
        limit: Duration,
        observer: &dyn Observer,
    ) -> Result<Vec<u8>, Failure> {
        let Some(process) = &mut self.process else {
            return Err(Failure::Other(self.error(method, "it was ended")));
        };
        match process.receive(deadline, observer) {
            Ok(line) => Ok(line),
            Err(Silence::Cancelled(error)) => {
                self.end();
                Err(Failure::Other(error))
            }
            Err(Silence::Ended(how)) => Err(Failure::Ended(self.misbehaved(method, &how))),
            Err(Silence::Late) => {
                let what = format!("no answer within {} s", limit.as_secs_f64());
                Err(Failure::Other(self.misbehaved(method, &what)))
            }
            Err(Silence::TooLong) => {
                let what = format!("its answer is longer than {} bytes", self.limits.answer);
                Err(Failure::Other(self.misbehaved(method, &what)))
            }
        }
    }

    fn result(&mut self, method: &str, id: u64, message: Value) -> Result<Value, Failure> {
        let reply: Reply = serde_json::from_value(message).map_err(|error| {
            let what = format!("its answer is no JSON-RPC reply: {error}");
            Failure::Other(self.misbehaved(method, &what))
        })?;
        if reply.id != Some(id) {
            let what = format!("it answered request {:?}, and {id} was asked", reply.id);
            return Err(Failure::Other(self.misbehaved(method, &what)));
        }
        match (reply.result, reply.error) {
            (_, Some(error)) => {
                let message = format!("plugin `{}`: {}", self.name, error.message);
                let is_final = matches!(method, "build" | "drop");
                let kind = match error.code == Code::Invalid.number() && is_final {
                    true => ErrorKind::Invalid,
                    false => ErrorKind::Plugin,
                };
                Err(Failure::Other(Error::new(kind, message)))
            }
            (result, None) => Ok(result.unwrap_or(Value::Null)),
        }
    }

    /// Ends the process and says why.
    pub(super) fn misbehaved(&mut self, method: &str, what: &str) -> Error {
        self.end();
        self.error(method, what)
    }

    fn error(&self, method: &str, what: &str) -> Error {
        Error::new(ErrorKind::Plugin, format!("plugin `{}` failed at {method}: {what}", self.name))
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let close = Request { jsonrpc: Version::V2, id: self.next_id, call: Call::close() };
            if let Ok(line) = serde_json::to_vec(&close) {
                process.send(line);
            }
            process.dismiss();
        }
    }
}

fn as_progress(message: &Value) -> Option<Progress> {
    let method = message.get("method")?.as_str()?;
    let parameters = message.get("params").filter(|_| method == "progress")?;
    serde_json::from_value(parameters.clone()).ok()
}

/// The beginning of a line, for messages.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let start: String = text.trim_end().chars().take(60).collect();
    format!("{start:?}")
}
