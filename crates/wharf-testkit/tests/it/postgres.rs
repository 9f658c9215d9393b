//! The cluster, its end, and its end when nobody is left to end it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use wharf_testkit::postgres::{Cluster, Flush};

#[test]
fn a_cluster_stops_starts_again_and_leaves_nothing() {
    let cluster = Cluster::start(Flush::Off).unwrap();
    let url = cluster.fresh_database().unwrap();
    assert!(url.ends_with("/wharf_0") && cluster.fresh_database().unwrap().ends_with("/wharf_1"));
    cluster.sql_in("wharf_0", "create table kept (id int)").unwrap();
    cluster.stop().unwrap();
    assert!(cluster.fresh_database().is_err());
    cluster.start_again().unwrap();
    cluster.sql_in("wharf_0", "insert into kept values (1)").unwrap();
    cluster.crash().unwrap();
    cluster.start_again().unwrap();
    cluster.sql_in("wharf_0", "select 1 / count(*) from kept").unwrap();
    let folder = cluster.folder().to_owned();
    assert!(folder.is_dir());
    drop(cluster);
    assert!(!folder.exists());
}

/// What the next test runs in a process of its own. Without its variable it has nothing to do.
#[test]
fn child_that_holds_a_cluster() {
    if std::env::var_os("HOLD_A_CLUSTER").is_some() {
        let cluster = Cluster::start(Flush::Off).unwrap();
        println!("\nfolder={}", cluster.folder().display());
        std::io::stdin().lines().for_each(drop);
    }
}

#[test]
fn a_killed_process_leaves_no_server_and_no_files() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::child_that_holds_a_cluster", "--nocapture"])
        .env("HOLD_A_CLUSTER", "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let folder = lines
        .find_map(|line| line.unwrap().strip_prefix("folder=").map(str::to_owned))
        .unwrap();
    let pid = std::fs::read_to_string(format!("{folder}/data/postmaster.pid")).unwrap();
    let server = format!("/proc/{}", pid.lines().next().unwrap());
    assert!(Path::new(&server).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    while Path::new(&folder).exists() || Path::new(&server).exists() {
        std::thread::yield_now();
    }
}
