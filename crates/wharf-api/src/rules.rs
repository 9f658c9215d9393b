//! Rules that fields of requests obey, for `garde`. A rule writes `code|detail`; the OpenAPI document repeats the same
//! limits as attributes, and a test compares both.

use std::fmt::Display;

use secrecy::{ExposeSecret as _, SecretString};

/// The longest name or label, in characters.
pub(crate) const MAX_NAME: usize = 100;
/// The longest opaque cursor that is looked at.
pub(crate) const MAX_CURSOR: usize = 128;

type Outcome = Result<(), garde::Error>;

/// A fault with its stable code.
pub(crate) fn fault(code: &str, detail: impl Display) -> garde::Error {
    garde::Error::new(format!("{code}|{detail}"))
}

/// A secret of `min` to `max` characters.
pub(crate) fn secret(min: usize, max: usize) -> impl Fn(&SecretString, &()) -> Outcome {
    move |secret: &SecretString, &()| {
        let length = secret.expose_secret().chars().count();
        if (min..=max).contains(&length) {
            return Ok(());
        }
        Err(fault(
            "invalid_length",
            format_args!("Must have {min} to {max} characters."),
        ))
    }
}

/// A text of `min` to `max` characters without NUL, which no database and no phone takes.
pub(crate) fn text(min: usize, max: usize) -> impl Fn(&str, &()) -> Outcome {
    move |text: &str, &()| {
        let length = text.chars().count();
        if text.contains('\0') {
            return Err(fault("invalid_character", "Must not hold the NUL character."));
        }
        if !(min..=max).contains(&length) {
            return Err(fault(
                "invalid_length",
                format_args!("Must have {min} to {max} characters."),
            ));
        }
        Ok(())
    }
}

/// The same for a field that may be missing.
pub(crate) fn optional_text(min: usize, max: usize) -> impl Fn(&Option<String>, &()) -> Outcome {
    let rule = text(min, max);
    move |value: &Option<String>, context: &()| value.as_deref().map_or(Ok(()), |value| rule(value, context))
}

/// A number within bounds, both included.
pub(crate) fn between<N: PartialOrd + Copy + Display>(min: N, max: N) -> impl Fn(&N, &()) -> Outcome {
    move |number: &N, &()| {
        if *number < min || *number > max {
            return Err(fault("out_of_range", format_args!("Must be between {min} and {max}.")));
        }
        Ok(())
    }
}

/// The same for a field that may be missing.
pub(crate) fn optional_between<N: PartialOrd + Copy + Display>(min: N, max: N) -> impl Fn(&Option<N>, &()) -> Outcome {
    let rule = between(min, max);
    move |number: &Option<N>, context: &()| number.as_ref().map_or(Ok(()), |number| rule(number, context))
}

/// A cursor is only looked at when it could be one.
pub(crate) fn cursor(cursor: &Option<String>, (): &()) -> Outcome {
    optional_text(0, MAX_CURSOR)(cursor, &())
}

/// A list of `min` to `max` items.
pub(crate) fn items<T>(min: usize, max: usize) -> impl Fn(&Vec<T>, &()) -> Outcome {
    move |items: &Vec<T>, &()| {
        if !(min..=max).contains(&items.len()) {
            return Err(fault("invalid_length", format_args!("Must hold {min} to {max} items.")));
        }
        Ok(())
    }
}

/// The same for a field that may be missing.
pub(crate) fn optional_items<T>(min: usize, max: usize) -> impl Fn(&Option<Vec<T>>, &()) -> Outcome {
    let rule = items(min, max);
    move |value: &Option<Vec<T>>, context: &()| value.as_ref().map_or(Ok(()), |value| rule(value, context))
}
