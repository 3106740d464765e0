//! How a prompt is coloured: what counts more stands out, syntax steps back, names that lead nowhere are underlined.

use std::collections::BTreeSet;

use egui::text::{LayoutJob, LayoutSection, TextFormat};
use egui::{FontId, Stroke, TextStyle, Ui};

use crate::domain::prompt::{Remark, Span, SpanKind, find_words, highlight};
use crate::studio::{PromptField, State};

use super::theme::{self, Palette, palette};

/// A text with its colours.
#[derive(Clone, Default)]
pub struct Marked {
    /// As it is drawn.
    pub job: LayoutJob,
    /// What is underlined.
    pub remarks: Vec<Remark>,
}

/// What a text was coloured by.
#[derive(PartialEq)]
struct Key {
    text: String,
    names_version: u64,
    is_dark: bool,
}

/// The texts of both fields as they were last coloured: most frames draw the same.
#[derive(Default)]
pub struct Highlights {
    last: [Option<(Key, Marked)>; 2],
}

impl Highlights {
    /// Colours a text.
    pub fn read(&mut self, ui: &Ui, state: &State, field: PromptField, text: &str) -> Marked {
        let key =
            Key { text: text.to_owned(), names_version: state.prompt.names_version, is_dark: ui.visuals().dark_mode };
        let last = &mut self.last[field as usize];
        match last {
            Some((known, marked)) if *known == key => marked.clone(),
            _ => {
                let remarks = state.remarks(field, text);
                let marked = Marked { job: job(ui, state, text, &remarks), remarks };
                *last = Some((key, marked.clone()));
                marked
            }
        }
    }
}

fn job(ui: &Ui, state: &State, text: &str, remarks: &[Remark]) -> LayoutJob {
    let p = palette(ui);
    let font = TextStyle::Body.resolve(ui.style());
    let line_height = ui.fonts_mut(|fonts| fonts.row_height(&font)) + ui.spacing().extra_text_line_spacing;
    let spans = highlight(text);
    let words: Vec<_> = state.adapters.embeddings.iter().flat_map(|card| find_words(text, &card.name)).collect();
    // A section ends wherever anything changes.
    let mut cuts = BTreeSet::from([0, text.len()]);
    cuts.extend(spans.iter().flat_map(|span| [span.range.start, span.range.end]));
    cuts.extend(
        words.iter().chain(remarks.iter().map(|remark| &remark.range)).flat_map(|range| [range.start, range.end]),
    );
    let cuts: Vec<usize> = cuts.into_iter().collect();
    let mut spans = spans.into_iter().peekable();
    let mut job = LayoutJob { text: text.to_owned(), keep_trailing_whitespace: true, ..LayoutJob::default() };
    for pair in cuts.windows(2) {
        let range = pair[0]..pair[1];
        while spans.peek().is_some_and(|span| span.range.end <= range.start) {
            spans.next();
        }
        let Some(span) = spans.peek() else { break };
        let mut format = format_of(span, &font, p);
        if span.kind == SpanKind::Text && words.iter().any(|word| word.contains(&range.start)) {
            format.color = p.named;
        }
        let touched = remarks.iter().filter(|remark| remark.range.contains(&range.start));
        // An error shows through a hint.
        if let Some(remark) = touched.max_by_key(|remark| remark.is_error) {
            format.underline = Stroke::new(1.5, if remark.is_error { p.danger } else { p.accent });
        }
        format.line_height = Some(line_height);
        job.sections.push(LayoutSection {
            leading_space: 0.0,
            byte_range: range.start.into()..range.end.into(),
            format,
        });
    }
    if job.sections.is_empty() {
        // The height of an empty field.
        let format = TextFormat { line_height: Some(line_height), ..TextFormat::simple(font, p.text) };
        job.sections.push(LayoutSection { leading_space: 0.0, byte_range: 0.into()..0.into(), format });
    }
    job
}

fn format_of(span: &Span, font: &FontId, p: &Palette) -> TextFormat {
    let colour = match span.kind {
        SpanKind::Text => theme::weight_colour(p, span.weight),
        SpanKind::Attention => p.text_faint,
        SpanKind::Break | SpanKind::And => p.text_dim,
        SpanKind::Schedule => p.timed,
        SpanKind::Network => p.named,
        SpanKind::Dynamic => p.drawn,
    };
    let is_word = matches!(span.kind, SpanKind::Break | SpanKind::And);
    TextFormat::simple(if is_word { theme::semibold(font.size) } else { font.clone() }, colour)
}
