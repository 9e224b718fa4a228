//! The gates of a stack, resolved.

use jiff::tz::{self, TimeZone};

use super::findings::nearest;
use super::path::Path;
use super::raw::{RawFreeze, RawGates};
use super::resolve::Resolver;
use crate::cron::{Cron, NotCron};
use crate::gate::{Freeze, Gates};

/// Resolves the gates of a stack.
pub(super) fn gates(raw: RawGates, path: &Path, resolver: &mut Resolver<'_>) -> Gates {
    let RawGates { approve, freeze } = raw;
    let path = path.key("freeze");
    let windows = freeze.into_iter().enumerate();
    let windows = windows.filter_map(|(i, raw)| self::freeze(raw, &path.index(i), resolver));
    Gates {
        approve,
        freeze: windows.collect(),
    }
}

fn freeze(raw: RawFreeze, path: &Path, resolver: &mut Resolver<'_>) -> Option<Freeze> {
    let RawFreeze {
        from,
        to,
        time_zone,
        why,
    } = raw;
    let from = cron(&from, &path.key("from"), resolver);
    let to = cron(&to, &path.key("to"), resolver);
    let zone = zone(&time_zone, &path.key("timeZone"), resolver);
    Some(Freeze {
        from: from?,
        to: to?,
        zone: zone?,
        why,
    })
}

fn cron(text: &str, path: &Path, resolver: &mut Resolver<'_>) -> Option<Cron> {
    if resolver.findings.broken(path) {
        return None;
    }
    let error = match text.parse::<Cron>() {
        Ok(cron) => return Some(cron),
        Err(error) => error,
    };
    let (span, hint) = match error {
        NotCron::Fields(_) => (
            resolver.tree.value_span(path),
            "minute, hour, day of month, month and day of week: `0 17 * * FRI` is on Fridays at 17:00; the place of the clock is its `timeZone`".to_owned(),
        ),
        NotCron::Field { at, name, range } => (
            resolver.part(path, at),
            format!("a {name} is {range}; `*` is any, `1,3` are some, `1-5` is a range that ascends, `*/2` is every second one"),
        ),
        NotCron::Never => (
            resolver.tree.value_span(path),
            "choose a day that the month has".to_owned(),
        ),
    };
    let finding = resolver.findings.error(span, path, error.to_string());
    finding.hint(hint);
    None
}

fn zone(name: &str, path: &Path, resolver: &mut Resolver<'_>) -> Option<TimeZone> {
    if resolver.findings.broken(path) {
        return None;
    }
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let all: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
    let all = || all.iter().map(String::as_str);
    // Who names a city means the zone that has its name.
    let city = |zone: &&str| {
        zone.rsplit('/')
            .next()
            .is_some_and(|city| city.eq_ignore_ascii_case(name))
    };
    let hint = match all().find(city).or_else(|| nearest(name, all())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            "name one of the IANA time zone database, such as `Europe/Berlin` or `UTC`".to_owned()
        }
    };
    let message = format!("there is no time zone `{}`", resolver.shown(path, name));
    resolver.error_at_value(path, message).hint(hint);
    None
}
