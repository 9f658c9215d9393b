//! Tests of the things that other tests start.

mod postgres;
