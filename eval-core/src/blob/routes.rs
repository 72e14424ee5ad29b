//! The section of the routes: a table of strings of its own, and rows that name them by number.
//!
//! It is there only where there are routes: a config without routes has not a byte of it.

use crate::config::Fault;
use crate::route::{Route, RouteTable, Row, problem};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
struct Section<'b> {
    text: &'b str,
    lens: Vec<u32>,
    routes: Vec<Route<u32>>,
    controls: Vec<u32>,
    /// Host pattern, path pattern, route.
    rows: Vec<(u32, u32, u32)>,
}

/// Strings by number, each kept once.
#[derive(Default)]
struct Interned<'t> {
    ids: BTreeMap<&'t str, u32>,
    text: String,
    lens: Vec<u32>,
}

impl<'t> Interned<'t> {
    fn id(&mut self, text: &'t str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = u32::try_from(self.lens.len()).unwrap_or(u32::MAX);
        self.text.push_str(text);
        self.lens.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.ids.insert(text, id);
        id
    }
}

/// The section; empty where there are no routes.
pub(super) fn write(table: &RouteTable<'_>) -> Vec<u8> {
    if table.is_empty() {
        return Vec::new();
    }
    let mut strings = Interned::default();
    let rows = table
        .rows
        .iter()
        .map(|row| (strings.id(&row.host), strings.id(&row.path), row.route))
        .collect();
    let controls = table.controls.iter().map(|control| strings.id(control)).collect();
    let routes = table.routes.iter().map(|route| route.map(&mut |text| strings.id(text))).collect();
    let section = Section { text: &strings.text, lens: strings.lens, routes, controls, rows };
    // Writing numbers and strings to memory cannot fail.
    postcard::to_allocvec(&section).unwrap_or_default()
}

/// Reads the section. A route that no edge could serve is left out and reported.
pub(super) fn read<'b>(bytes: &'b [u8], faults: &mut Vec<Fault>) -> Result<RouteTable<'b>, String> {
    let (section, rest) =
        postcard::take_from_bytes::<Section<'b>>(bytes).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("bytes follow the last table".into());
    }
    let mut strings: Vec<&'b str> = Vec::with_capacity(section.lens.len());
    let mut text = section.text;
    for len in section.lens {
        let (string, others) =
            text.split_at_checked(len as usize).ok_or("strings of routes are too short")?;
        strings.push(string);
        text = others;
    }
    let string = |id: u32| Cow::Borrowed(strings.get(id as usize).copied().unwrap_or_default());
    let routes: Vec<_> =
        section.routes.iter().map(|route| route.map(&mut |id| string(*id))).collect();
    let problems: Vec<Option<String>> = routes.iter().map(problem).collect();
    for (route, problem) in routes.iter().zip(&problems) {
        if let Some(problem) = problem {
            faults
                .push(Fault { entry: format!("route `{}`", route.key), problem: problem.clone() });
        }
    }
    let is_sound = |id: u32| matches!(problems.get(id as usize), Some(None));
    Ok(RouteTable {
        routes,
        controls: section.controls.into_iter().map(string).collect(),
        rows: section
            .rows
            .into_iter()
            .filter(|row| is_sound(row.2))
            .map(|(host, path, route)| Row { host: string(host), path: string(path), route })
            .collect(),
    })
}
