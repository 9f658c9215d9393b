//! Runs the real binary in processes of its own: every test owns its data directory, its ports and its sandbox.

mod commands;
mod flow;
mod kills;
mod process;
mod remote;
mod secrets;
mod startup;
mod stopping;
