//! Takes in what everybody saw, and keeps it in memory and on disk.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::now;
use crate::recording::{
    About, End, EventLine, FaultLine, Files, InboundLine, Life, Observation, Observed, Outcome, Part, PeerLine,
    Recording, Request, RequestLine,
};

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    inner: Mutex<Inner>,
    calls: AtomicU64,
    /// Messages accepted so far.
    accepted: AtomicUsize,
    /// Messages of the sessions on the wire so far.
    wire: AtomicUsize,
    inbound: AtomicUsize,
    /// Copies that the companion decrypted so far.
    read: AtomicUsize,
    /// Observations that are no upkeep: the network is quiet while it does not grow.
    traffic: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    recording: Recording,
    files: Files,
    /// The first thing that could not be recorded; it ends the run.
    broken: Option<String>,
    /// Requests whose end is not known yet, oldest first.
    open: Vec<Request>,
    accepted_keys: HashSet<String>,
    /// Accepted messages that the feed has not told as sent.
    unsent: HashSet<String>,
    /// Messages that the feed told as sent; an answer can come later than its event.
    sent: HashSet<String>,
    /// Messages to sessions that the feed has not told, by WhatsApp's id.
    unheard: HashSet<String>,
    heard: HashSet<String>,
    /// The accounts' numbers, and the devices of the sessions.
    devices: HashMap<String, u64>,
    /// How often each session's device logged in.
    logins: HashMap<String, usize>,
}

impl Recorder {
    /// A recorder that writes into this folder.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(folder: &Path) -> Result<Self> {
        Ok(Self {
            inner: Mutex::new(Inner {
                recording: Recording::default(),
                files: Files::create(folder)?,
                broken: None,
                open: Vec::new(),
                accepted_keys: HashSet::new(),
                unsent: HashSet::new(),
                sent: HashSet::new(),
                unheard: HashSet::new(),
                heard: HashSet::new(),
                devices: HashMap::new(),
                logins: HashMap::new(),
            }),
            calls: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            wire: AtomicUsize::new(0),
            inbound: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            traffic: AtomicU64::new(0),
        })
    }

    /// What the run is.
    pub fn about(&self, about: About) {
        let mut inner = self.lock();
        let sessions = about.sessions.iter();
        inner.devices = sessions
            .map(|session| (session.device.phone.clone(), session.device.device))
            .collect();
        inner.recording.about = about;
    }

    /// A name for the next call; no two calls have the same.
    pub fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Written before the call.
    pub fn request(&self, request: &Request) {
        self.add(Part::Requests, RequestLine::Request(request.clone()), |recording| {
            &mut recording.requests
        });
    }

    /// Written after the call. Says whether the message is a new one.
    pub fn outcome(&self, request: &Request, end: End) -> bool {
        let outcome = Outcome {
            call: request.call,
            at: now(),
            end: end.clone(),
        };
        self.add(Part::Requests, RequestLine::Outcome(outcome), |recording| {
            &mut recording.requests
        });
        let mut inner = self.lock();
        let End::Accepted { message, .. } = end else {
            inner.open.push(request.clone());
            return false;
        };
        if !inner.sent.contains(&message) {
            inner.unsent.insert(message);
        }
        let new = inner.accepted_keys.insert(request.key.clone());
        drop(inner);
        if new {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
        new
    }

    /// Takes the requests whose end is not known.
    pub fn take_open(&self) -> Vec<Request> {
        std::mem::take(&mut self.lock().open)
    }

    /// A text that was sent to a session.
    pub fn inbound(&self, line: InboundLine) {
        let mut inner = self.lock();
        let for_us = inner.devices.contains_key(&line.to) || inner.devices.contains_key(&line.from);
        if for_us && !inner.heard.contains(&line.id) {
            inner.unheard.insert(line.id.clone());
        }
        drop(inner);
        self.inbound.fetch_add(1, Ordering::Relaxed);
        self.add(Part::Inbound, line, |recording| &mut recording.inbound);
    }

    /// An event of the feed.
    pub fn event(&self, event: EventLine) {
        let mut inner = self.lock();
        if matches!(
            event.kind.as_str(),
            "message.sent" | "message.delivered" | "message.read"
        ) && let Some(message) = &event.message
        {
            inner.unsent.remove(message);
            inner.sent.insert(message.clone());
        }
        if event.kind == "message.received"
            && let Some(id) = &event.whatsapp_id
        {
            inner.unheard.remove(id);
            inner.heard.insert(id.clone());
        }
        drop(inner);
        self.add(Part::Followed, event, |recording| &mut recording.followed);
    }

    /// A line of the sandbox's log.
    ///
    /// # Errors
    /// It is none.
    pub fn observation(&self, line: &str) -> Result<()> {
        let observation: Observation =
            serde_json::from_str(line).with_context(|| format!("not a line of the sandbox's log: {line}"))?;
        let mut inner = self.lock();
        match &observation.what {
            Observed::Stanza(stanza) => {
                if matches!(stanza.tag.as_str(), "message" | "receipt") {
                    self.traffic.fetch_add(1, Ordering::Relaxed);
                }
                let device = stanza
                    .phone
                    .as_ref()
                    .and_then(|phone| inner.devices.get(phone).copied());
                if stanza.is_sent_message() && device.is_some() && device == stanza.device {
                    self.wire.fetch_add(1, Ordering::Relaxed);
                }
            }
            Observed::Decrypted(_) => {
                self.traffic.fetch_add(1, Ordering::Relaxed);
            }
            Observed::Login(login) => {
                if let Some(phone) = login.phone.as_ref().filter(|_| login.refused.is_none()) {
                    *inner.logins.entry(phone.clone()).or_default() += 1;
                }
            }
            Observed::Lost(_) | Observed::Closed(_) => {}
        }
        inner.recording.observations.push(observation);
        inner.files.line(Part::Stanzas, line)
    }

    /// A line of the Baileys companion.
    pub fn peer(&self, line: &Value) {
        let parsed = serde_json::from_value::<PeerLine>(line.clone());
        match parsed {
            Ok(parsed) => {
                self.traffic.fetch_add(1, Ordering::Relaxed);
                if parsed.event == "message" {
                    self.read.fetch_add(1, Ordering::Relaxed);
                }
                self.add(Part::Peer, parsed, |recording| &mut recording.peer);
            }
            Err(error) => self.break_off(format!("not a line of the companion: {error}")),
        }
    }

    /// A process of Wharf that is over.
    pub fn life(&self, life: Life) {
        self.add(Part::Lives, life, |recording| &mut recording.lives);
    }

    /// Something that was broken on purpose.
    pub fn fault(&self, fault: FaultLine) {
        self.add(Part::Faults, fault, |recording| &mut recording.faults);
    }

    /// Remembers that the recording is not whole; [`Self::healthy`] tells.
    pub fn break_off(&self, why: String) {
        self.lock().broken.get_or_insert(why);
    }

    /// Whether everything could be recorded so far.
    ///
    /// # Errors
    /// Why not.
    pub fn healthy(&self) -> Result<()> {
        match &self.lock().broken {
            Some(why) => Err(anyhow::anyhow!("the recording is not whole: {why}")),
            None => Ok(()),
        }
    }

    /// Messages accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Messages of the sessions on the wire so far.
    pub fn wire(&self) -> usize {
        self.wire.load(Ordering::Relaxed)
    }

    /// Messages sent to sessions so far.
    pub fn inbound_count(&self) -> usize {
        self.inbound.load(Ordering::Relaxed)
    }

    /// Copies that the companion decrypted so far.
    pub fn read_count(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }

    /// Grows with everything that is no upkeep.
    pub fn traffic(&self) -> u64 {
        self.traffic.load(Ordering::Relaxed)
    }

    /// How many accepted messages the feed has not told as sent, and how many messages to sessions it has not told.
    pub fn waiting(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.unsent.len(), inner.unheard.len())
    }

    /// How often a device of this account logged in, as far as the sandbox's log was read.
    pub fn logins(&self, phone: &str) -> usize {
        self.lock().logins.get(phone).copied().unwrap_or_default()
    }

    /// How many events were followed.
    pub fn followed(&self) -> usize {
        self.lock().recording.followed.len()
    }

    /// Ends the recording: adds what is only known now, writes everything.
    ///
    /// # Errors
    /// The disk is full, or something could not be recorded.
    pub fn finish(self, complete: impl FnOnce(&mut Recording)) -> Result<(Recording, PathBuf)> {
        self.healthy()?;
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut recording = inner.recording;
        complete(&mut recording);
        let folder = inner.files.finish(&recording)?;
        Ok((recording, folder))
    }

    fn add<T: Serialize>(&self, part: Part, value: T, list: impl FnOnce(&mut Recording) -> &mut Vec<T>) {
        let line = serde_json::to_string(&value).map_err(anyhow::Error::from);
        let mut inner = self.lock();
        let written = line.and_then(|line| inner.files.line(part, &line));
        if let Err(error) = written {
            inner.broken.get_or_insert_with(|| format!("{error:#}"));
        }
        list(&mut inner.recording).push(value);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
