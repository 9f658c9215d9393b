//! Tests of the judge, on recordings made by hand.

mod broken;
mod good;
mod judged;
mod otp;
