//! The session generator under many visitors: attempts that come to something and attempts that are given up, one after
//! the other and all at once. Shows what is left of them, in memory and on disk, and how long a page takes meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wharf_testkit::process::{EventStream, Launch, PATIENCE, Program, Remote, Sandbox};

/// How many visitors come one after the other at the same time.
const LANES: usize = 8;

/// Attempts are cleared away bit by bit; this long after the last one nothing is left to be cleared.
pub const REST: Duration = Duration::from_secs(100);

/// A running `wharf generator`.
#[derive(Debug)]
pub struct Generator {
    program: Program,
    pages: Remote,
}

impl Generator {
    /// Starts it in a folder, without limits for addresses and numbers.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(binary: &Path, sandbox: &Sandbox, folder: &Path, attempts: usize) -> Result<Self> {
        let mut launch = Launch::new("wharf generator", binary);
        launch.arguments = ["generator", "--json", "--port", "0", "--data-dir"]
            .map(Into::into)
            .to_vec();
        launch.arguments.push(folder.into());
        for (name, value) in [
            ("WHARF_WHATSAPP__VERSION_PAGE", ""),
            ("WHARF_WHATSAPP__CHAT_URL", &sandbox.chat_url),
            ("WHARF_GENERATOR__ATTEMPTS", &attempts.to_string()),
            ("WHARF_GENERATOR__ATTEMPTS_PER_ADDRESS", "0"),
            ("WHARF_LOG__FILTER", "warn"),
        ] {
            launch.environment.push((name.to_owned(), value.into()));
        }
        let mut program = Program::start(&launch)?;
        let ready = program.json_line(PATIENCE).await?;
        let url = ready["url"].as_str().context("the generator names no address")?;
        Ok(Self {
            pages: Remote::new(url, None)?,
            program,
        })
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// It is gone.
    pub fn resident(&self) -> Result<u64> {
        Ok(self.program.usage()?.resident)
    }

    /// Stops it.
    ///
    /// # Errors
    /// It does not end as it should.
    pub async fn stop(mut self) -> Result<()> {
        let status = self.program.terminate().await?;
        ensure!(status.success(), "the generator ended with {status}");
        Ok(())
    }
}

/// So many attempts, half of them given up; every string is one that works on paper, and its device stays linked.
///
/// # Errors
/// An attempt went another way.
pub async fn attempts(generator: &Generator, sandbox: &Sandbox, numbers: std::ops::Range<usize>) -> Result<()> {
    let mut lanes = JoinSet::new();
    for number in numbers {
        if lanes.len() == LANES {
            lanes.join_next().await.context("a lane")???;
        }
        let (pages, control) = (generator.pages.clone(), sandbox.control().clone());
        lanes.spawn(async move {
            let done = if number % 2 == 0 {
                linked(&pages, &control).await
            } else {
                given_up(&pages).await
            };
            done.with_context(|| format!("attempt {number}"))
        });
    }
    while let Some(done) = lanes.join_next().await {
        done??;
    }
    Ok(())
}

/// A visitor types his code and takes his string.
async fn linked(pages: &Remote, control: &Remote) -> Result<()> {
    let phone = control.post("/sandbox/api/phones", &json!({})).await?;
    let phone = phone["phone"].as_str().context("a phone has a number")?;
    let (path, mut steps) = begin(pages, &json!({ "phone": phone })).await?;
    let shown = step(&mut steps, "enter_code").await?;
    let enter = format!("/sandbox/api/phones/{phone}/enter-code");
    control.post(&enter, &json!({ "code": shown["code"] })).await?;
    let done = step(&mut steps, "done").await?;
    ensure!(done["sent"] == true, "the own chat has no string: {done}");
    let taken = pages.post(&format!("{path}/take"), &json!({})).await?;
    let checked = pages
        .post("/generator/validate", &json!({ "data": taken["session"] }))
        .await?;
    ensure!(checked["valid"] == true, "the string is not whole: {checked}");
    let devices = control.get(&format!("/sandbox/api/phones/{phone}")).await?;
    let devices = devices["devices"].as_array().map(Vec::len);
    ensure!(devices == Some(1), "the device did not stay linked: {devices:?}");
    Ok(())
}

/// A visitor looks at a QR and leaves.
async fn given_up(pages: &Remote) -> Result<()> {
    let (path, mut steps) = begin(pages, &json!({})).await?;
    step(&mut steps, "scan_qr").await?;
    pages.delete(&path).await?;
    step(&mut steps, "failed").await.map(drop)
}

async fn begin(pages: &Remote, request: &Value) -> Result<(String, EventStream)> {
    let begun = pages.post("/generator/attempts", request).await?;
    let id = begun["id"].as_str().context("an attempt has an id")?;
    let path = format!("/generator/attempts/{id}");
    let steps = pages.follow(&format!("{path}/events"), None).await?;
    Ok((path, steps))
}

async fn step(steps: &mut EventStream, wanted: &str) -> Result<Value> {
    let found = async {
        while let Some(event) = steps.next().await? {
            let step = event.json();
            if step["step"] == wanted {
                return Ok(step);
            }
            if step["step"] == "failed" {
                bail!("it failed: {step}");
            }
        }
        bail!("it ended before {wanted}")
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .with_context(|| format!("{wanted} in time"))?
}

/// What a crowd does to a page.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How long the slowest of a hundred answers took.
    pub p99: Duration,
    /// The slowest of all.
    pub longest: Duration,
    /// How long it took until everybody had his QR.
    pub served_in: Duration,
}

/// So many visitors at once, all waiting for a QR, while others open the page; then all of them leave.
///
/// # Errors
/// A visitor is refused, or sees no QR.
pub async fn crowd(generator: &Generator, visitors: usize) -> Result<Crowd> {
    let began = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..visitors {
        let pages = generator.pages.clone();
        waiting.spawn(async move {
            let (path, mut steps) = begin(&pages, &json!({})).await?;
            step(&mut steps, "scan_qr").await?;
            anyhow::Ok((path, steps))
        });
    }
    let mut took = Vec::new();
    let mut here = Vec::new();
    while here.len() < visitors {
        let asked = Instant::now();
        generator.pages.text("/qr").await?;
        took.push(asked.elapsed());
        while let Some(served) = waiting.try_join_next() {
            here.push(served??);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let served_in = began.elapsed();
    for (path, _) in &here {
        generator.pages.delete(path).await?;
    }
    for (_, mut steps) in here {
        step(&mut steps, "failed").await?;
    }
    took.sort();
    let at = |part: usize| {
        took.get(took.len() * part / 100)
            .or(took.last())
            .copied()
            .unwrap_or_default()
    };
    Ok(Crowd {
        p99: at(99),
        longest: at(100),
        served_in,
    })
}
