//! A line as the rows that it takes on a screen of some width. Nothing from outside gets into a row unescaped; what came
//! with line breaks stays under its author, so it can't draw a line of its own.

use jiff::tz::TimeZone;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::model::{Delivery, Model, Tab};
use super::scrollback::{At, Line, Saying, What};
use crate::peer::api::{Manner, PeerId};
use crate::ui::{escape, wrap};

/// What a part of a row is; the theme says how that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What somebody said.
    Text,
    /// The same, where we are named.
    Mention,
    /// An author's name, in the colour of their key.
    Author(PeerId),
    /// Times and other small print.
    Dim,
    /// What the program tells.
    Notice,
    /// What the person must not overlook.
    Warning,
    /// The line before what is unread, and before a new day.
    Rule,
}

/// A row: its parts from the left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row(pub Vec<(String, Role)>);

/// How wide the parts of a line are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Of all.
    pub columns: usize,
    /// Of the time; 0 where there is no room for one.
    time: usize,
    /// Of the name.
    name: usize,
}

impl Measure {
    /// For this many columns.
    pub fn of(columns: usize) -> Self {
        match columns {
            0..40 => Measure { columns, time: 0, name: 0 },
            40..64 => Measure { columns, time: 6, name: 9 },
            _ => Measure { columns, time: 6, name: 13 },
        }
    }

    fn lead(&self) -> usize {
        if self.name == 0 { 1 } else { self.time + self.name + 2 }
    }
}

/// Most columns of a sign under a text.
const SIGN_COLUMNS: usize = 24;

/// How long an own text may be on its way before that is shown, so that nothing flickers.
const PATIENCE_MS: u64 = 900;

/// The rows of the line at a place, with the rules before it.
pub fn rows(model: &Model, tab: &Tab, at: At, measure: &Measure) -> Vec<Row> {
    let Some(line) = tab.lines.get(at) else { return Vec::new() };
    let mut rows = Vec::new();
    let zone = &model.choices.zone;
    let before = tab.lines.get(at - 1);
    if before.is_none_or(|before| day(before.at_ms, zone) != day(line.at_ms, zone)) {
        rows.push(rule(&date(line.at_ms, zone), measure.columns));
    }
    if tab.lines.unread_from() == Some(at) {
        rows.push(rule(&format!("new since {}", clock(line.at_ms, zone)), measure.columns));
    }
    match &line.what {
        What::Said(_) => said(model, tab, line, measure, &mut rows),
        What::Told(text) => told(line.at_ms, text, measure, zone, &mut rows),
        What::Knocks { names, count } => told(line.at_ms, &knocks(names, *count), measure, zone, &mut rows),
    }
    rows
}

fn said(model: &Model, tab: &Tab, line: &Line, measure: &Measure, rows: &mut Vec<Row>) {
    let What::Said(said) = &line.what else { return };
    let name = said.from.as_ref().or_else(|| model.labels.name(&said.key));
    let label = match name {
        Some(name) => model.labels.label(name, &said.key),
        None => format!("@{}", said.key.fingerprint().tag()),
    };
    let role = if said.mention { Role::Mention } else { Role::Text };
    let sign = if said.mention { ">" } else { " " };
    let after = tab.delivery.get(&said.id).and_then(|delivery| on_its_way(delivery, model.now.mono_ms));
    let first = rows.len();
    let taken_back = "(taken back by its author)";
    let parts: Vec<&str> = if said.unsaid { vec![taken_back] } else { said.text.split('\n').collect() };
    for (at, part) in parts.iter().enumerate() {
        let mut text = plain(&escape::text(part));
        if at == 0 {
            match (&said.answers, said.manner) {
                (Some(answers), _) => text.insert_str(0, &format!("(to {}) ", plain(answers))),
                (None, Manner::Action) => text.insert_str(0, &format!("* {} ", plain(&label))),
                (None, _) => {}
            }
        }
        if at + 1 == parts.len() {
            text.push_str(&small_print(said, after.as_deref()));
        }
        let (lead, mut wrapped) = if measure.name == 0 {
            // So narrow that the text begins behind the name.
            let lead = if at == 0 { format!("{label}:{sign}") } else { " ".to_owned() };
            (lead.clone(), flow(&lead, &text, measure.columns))
        } else {
            let lead = " ".repeat(measure.lead());
            (lead.clone(), flow(&lead, &text, measure.columns))
        };
        if let Some(first) = wrapped.first_mut() {
            *first = first.split_off(lead.len());
        }
        for (number, text) in wrapped.into_iter().enumerate() {
            if number == 0 && measure.name == 0 && at == 0 {
                rows.push(Row(vec![(lead.clone(), Role::Author(said.key)), (text, role)]));
            } else if number == 0 {
                rows.push(Row(vec![(lead.clone(), Role::Dim), (text, role)]));
            } else {
                rows.push(Row(vec![(text, role)]));
            }
        }
    }
    if measure.name > 0
        && let Some(row) = rows.get_mut(first)
        && let Some(lead) = row.0.first_mut()
    {
        let label = escape::field(&label, measure.name);
        let blanks = " ".repeat(measure.name.saturating_sub(plain(&label).width()));
        *lead = (format!("{} ", clock(line.at_ms, &model.choices.zone)), Role::Dim);
        let name = (format!("{blanks}{}", plain(&label)), Role::Author(said.key));
        let sign = (format!("{sign} "), role);
        row.0.splice(1..1, [name, sign]);
    }
}

/// What stands behind a text: that it was changed, the signs under it, how far it has come.
fn small_print(said: &Saying, after: Option<&str>) -> String {
    let mut text = String::new();
    if said.edited && !said.unsaid {
        text.push_str(" (edited)");
    }
    for (sign, by) in &said.signs {
        text.push_str(&format!(" [{} {}]", plain(&escape::field(sign, SIGN_COLUMNS)), by.len()));
    }
    if let Some(after) = after {
        text.push_str(&format!("  ({after})"));
    }
    text
}

/// As [`wrap::wrap`], but a link that is wider than the text's columns gets a row of its own with as much of the screen as it
/// takes, so that terminals still know it for a link. One column stays free on its left: that is where lines of ours begin.
fn flow(lead: &str, text: &str, columns: usize) -> Vec<String> {
    let room = columns.saturating_sub(lead.width().min(columns / 2));
    let is_wide = |word: &&str| is_link(word) && word.width() > room;
    let Some(link) = text.split_whitespace().find(is_wide) else { return wrap::wrap(lead, text, Some(columns)) };
    // The word is a part of the text, so it is found again.
    let (before, after) = text.split_once(link).unwrap_or((text, ""));
    let mut rows = wrap::wrap(lead, before.trim_end(), Some(columns));
    let widest = columns.saturating_sub(1).max(1);
    let mut row = " ".repeat(columns.saturating_sub(link.width()).clamp(1, lead.width().max(1)));
    let mut used = row.width();
    for cluster in link.graphemes(true) {
        if used + cluster.width() > widest + 1 {
            rows.push(std::mem::replace(&mut row, " ".to_owned()));
            used = 1;
        }
        row.push_str(cluster);
        used += cluster.width();
    }
    rows.push(row);
    let after = after.trim_start();
    if !after.is_empty() {
        rows.extend(flow(&" ".repeat(lead.width().min(columns / 2)), after, columns));
    }
    rows
}

/// Whether a word looks like a link.
pub fn is_link(word: &str) -> bool {
    word.starts_with("https://") || word.starts_with("http://")
}

fn on_its_way(delivery: &Delivery, now_ms: u64) -> Option<String> {
    (delivery.to > 0 || now_ms >= delivery.since_ms + PATIENCE_MS)
        .then(|| format!("delivered {}/{}", delivery.to, delivery.of))
}

fn told(at_ms: u64, text: &str, measure: &Measure, zone: &TimeZone, rows: &mut Vec<Row>) {
    let warning = ["warning:", "error:"].iter().any(|word| text.starts_with(word)) || text.contains("WARNING");
    let role = if warning { Role::Warning } else { Role::Notice };
    let time = if measure.time == 0 { String::new() } else { format!("{} ", clock(at_ms, zone)) };
    let lead = format!("{}* ", " ".repeat(time.len()));
    for (number, mut row) in wrap::wrap(&lead, &plain(text), Some(measure.columns)).into_iter().enumerate() {
        if number == 0 {
            let rest = row.split_off(time.len().min(row.len()));
            rows.push(Row(vec![(time.clone(), Role::Dim), (rest, role)]));
        } else {
            rows.push(Row(vec![(row, role)]));
        }
    }
}

fn knocks(names: &[String], count: usize) -> String {
    let shown = names.join(", ");
    match count.saturating_sub(names.len()) {
        0 if count == 1 => format!("{shown} asks to join: F2 or /requests to review"),
        0 => format!("{shown} ask to join: F2 or /requests to review"),
        more => format!("{shown} and {more} more ask to join: F2 or /requests to review"),
    }
}

fn rule(text: &str, columns: usize) -> Row {
    let lead = format!("── {text} ");
    let rest = "─".repeat(columns.saturating_sub(lead.width()));
    Row(vec![(format!("{lead}{rest}"), Role::Rule)])
}

/// Without the marks that keep a text's direction to itself; those are put around each row when it is drawn, since a row
/// may hold a part of the text only.
pub fn plain(escaped: &str) -> String {
    escaped.chars().filter(|c| !matches!(c, '\u{2068}' | '\u{2069}')).collect()
}

/// Hours and minutes.
pub fn clock(ms: u64, zone: &TimeZone) -> String {
    moment(ms, zone).map_or("--:--".to_owned(), |it| format!("{:02}:{:02}", it.hour(), it.minute()))
}

fn date(ms: u64, zone: &TimeZone) -> String {
    moment(ms, zone).map_or("at no known time".to_owned(), |it| it.strftime("%A, %Y-%m-%d").to_string())
}

fn day(ms: u64, zone: &TimeZone) -> Option<jiff::civil::Date> {
    moment(ms, zone).map(|it| it.date())
}

fn moment(ms: u64, zone: &TimeZone) -> Option<jiff::Zoned> {
    let moment = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())?;
    Some(moment.to_zoned(zone.clone()))
}
