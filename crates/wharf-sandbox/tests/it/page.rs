//! The page with the phones, the document of the API, and the camera.

use std::collections::BTreeSet;

use fast_qr::QRBuilder;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wharf_sandbox::{Sandbox, SandboxConfig};

use crate::http::{call, text};

async fn start() -> (Sandbox, String) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let base = sandbox.control_url().unwrap();
    (sandbox, base)
}

#[tokio::test]
async fn the_address_leads_to_the_page_and_all_it_names_is_there() {
    let (_sandbox, base) = start().await;
    let home = text(&base, "/").await;
    assert!(home.contains("location: /sandbox/page/"), "{home}");
    let mut wanted: Vec<String> = vec!["/sandbox/page/".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(path) = wanted.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let file = text(&base, &path).await;
        assert!(file.starts_with("HTTP/1.1 200"), "{path}: {file}");
        assert!(file.contains("content-security-policy: default-src 'none'"), "{path}");
        let named = file.split('"').filter(|part| part.starts_with("/sandbox/page/"));
        wanted.extend(named.map(str::to_owned));
    }
    assert!(seen.len() >= 8, "{seen:?}");
}

#[tokio::test]
async fn the_document_and_the_readme_know_the_same_calls() {
    let (_sandbox, base) = start().await;
    let document = call(&base, "GET", "/sandbox/api/openapi.json", None).await.body;
    let described: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let readme = include_str!("../../README.md");
    let calls = readme.lines().filter(|line| line.starts_with("| `"));
    let named: BTreeSet<String> = calls
        .filter_map(|line| line.split('`').nth(1)?.split(' ').nth(1))
        .filter(|path| path.starts_with("/sandbox/api/") && !path.ends_with("/openapi.json"))
        .map(|path| path.split(['?', '`']).next().unwrap().trim_end_matches(',').to_owned())
        .collect();
    let missing: Vec<_> = described.difference(&named).collect();
    // Lists name the call for one of them in the same row.
    let one_of: Vec<_> = missing.iter().filter(|path| !path.ends_with('}')).collect();
    assert!(one_of.is_empty(), "not in the README: {one_of:?}");
    let unknown: Vec<_> = named.difference(&described).collect();
    assert!(unknown.is_empty(), "not in the document: {unknown:?}");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{method} {path}"
            );
        }
    }
}

/// A QR code as a PNG, black on white, each of its squares so many pixels wide.
fn picture(text: &str, scale: u32) -> Vec<u8> {
    let code = QRBuilder::new(text).build().unwrap();
    let size = u32::try_from(code.size).unwrap();
    let width = (size + 8) * scale;
    let dark = |x: u32, y: u32| {
        let place = |at: u32| (at / scale).checked_sub(4).filter(|&at| at < size);
        match (place(x), place(y)) {
            (Some(x), Some(y)) => code[y as usize][x as usize].value(),
            _ => false,
        }
    };
    let pixels: Vec<u8> = (0..width)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            if dark(x, y) {
                [0, 0, 0, 255]
            } else {
                [250, 252, 250, 255]
            }
        })
        .collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, width);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

async fn post(base: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let address = base.strip_prefix("http://").unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn the_camera_reads_a_code_and_says_when_there_is_none() {
    let (_sandbox, base) = start().await;
    // As long as those that clients show.
    let (reference, key) = ("A".repeat(40), "B".repeat(43) + "=");
    let shown = format!("2@{reference},{key},{key},{key},1");
    let (status, read) = post(&base, "/sandbox/api/read-qr", &picture(&shown, 4)).await;
    assert_eq!((status, read["qr"].as_str()), (200, Some(shown.as_str())));
    let mut blank = picture("x", 4);
    blank.truncate(200);
    for nothing in [&b"no picture"[..], &blank] {
        let (status, problem) = post(&base, "/sandbox/api/read-qr", nothing).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("no_qr_found")));
    }
}
