//! The actor's own logic, against real storage and a scripted network.

mod script;
