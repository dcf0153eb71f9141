//! A PostgreSQL URL as libpq reads it, taken apart: credentials, servers, database and parameters, all decoded.
//!
//! No part goes into an error, since a password that is not encoded may make any part of it the password's.

pub(super) mod parameters;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;

use crate::store::error::Error;

const UNREADABLE: &str = "database.url cannot be read; write a / inside a password as %2F";

/// The parts of a URL.
struct Parts {
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    /// Host and port of each server; either may be empty.
    servers: Vec<(String, String)>,
    /// In the URL's order.
    parameters: Vec<(String, String)>,
    /// Whether a parameter's name may rather be a piece of a password.
    is_doubtful: bool,
}

impl Parts {
    fn of(url: &str) -> Result<Parts, Error> {
        let (_, rest) = url.split_once("://").ok_or_else(unreadable)?;
        let (credentials, rest) = split_credentials(rest);
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix('/').unwrap_or_default();
        if credentials.is_none() && path.contains('@') {
            return Err(unreadable());
        }
        let (user, password) =
            match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
                Some((user, password)) => (some(user)?, some(password)?),
                None => (None, None),
            };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Ok(Parts {
            user,
            password,
            database: some(path)?,
            servers: authority.split(',').map(server).collect::<Result<_, _>>()?,
            parameters: pairs.map(parameter).collect::<Result<_, _>>()?,
            is_doubtful: credentials.is_none() && query.contains('@'),
        })
    }
}

/// User and password, and what follows the `@`. Like libpq, looks for it before the first `/`, so that a password may
/// hold a `?` or a `#`; unlike libpq, takes the last `@` before the parameters, so that it may hold that as well.
fn split_credentials(rest: &str) -> (Option<&str>, &str) {
    let head = rest.split('/').next().unwrap_or_default();
    let Some((first, after)) = head.split_once('@') else { return (None, rest) };
    let more = after.split('?').next().and_then(|host| host.rfind('@')).map_or(0, |at| at + 1);
    let (credentials, rest) = rest.split_at(first.len() + more);
    (Some(credentials), rest.strip_prefix('@').unwrap_or(rest))
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn server(text: &str) -> Result<(String, String), Error> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or_else(unreadable)?;
            let port = rest.strip_prefix(':').or_else(|| rest.is_empty().then_some(""));
            (address, port.ok_or_else(unreadable)?)
        }
        None if text.parse::<Ipv6Addr>().is_ok() => {
            return Err(Error::settings(
                "database.url: an IPv6 address must be in brackets, as in [::1]",
            ));
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    Ok((decode(host)?, decode(port)?))
}

fn parameter(pair: &str) -> Result<(String, String), Error> {
    let (name, value) = pair.split_once('=').ok_or_else(unreadable)?;
    Ok((decode(name)?, decode(value)?))
}

/// `None` for what is empty.
fn some(text: &str) -> Result<Option<String>, Error> {
    Ok(Some(decode(text)?).filter(|text| !text.is_empty()))
}

/// Decodes percent-encoding alone: to libpq, a `+` is no space.
fn decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    bytes.extend(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.filter(|byte| *byte != 0 && !piece.starts_with('+'));
        bytes.push(byte.ok_or_else(|| {
            Error::settings("database.url: write a % that stands for itself as %25")
        })?);
        bytes.extend(piece.bytes().skip(2));
    }
    String::from_utf8(bytes).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::settings(UNREADABLE)
}
