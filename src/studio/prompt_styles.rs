//! [`Styles`]: named templates that the prompts are put into when a picture is made.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::domain::GenerateRequest;
use crate::domain::prompt::{PromptStyle, Styled, styled};
use crate::library::{LibraryCommand, PromptsCommand};

use super::{DialogRequest, Effect, Info, PromptField, State};

/// The styles of the user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Styles {
    /// All of them, in the user's order.
    pub list: Vec<PromptStyle>,
    /// The names of those that the prompt is put into, in their order.
    pub applied: Vec<String>,
    /// What is being written, while the editor is open.
    pub editor: Option<StyleEditor>,
}

/// A style that is being written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StyleEditor {
    /// The one in the list that is changed; `None` for a new one.
    pub changed: Option<String>,
    /// As it will be.
    pub style: PromptStyle,
}

/// An act on styles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StyleAction {
    /// Put the prompt into a style, or take it out.
    Wear(String, bool),
    /// Show the styles, to change them.
    Open,
    /// Close them.
    Close,
    /// Change this one.
    Choose(String),
    /// Write a new one.
    New,
    /// Write a new one, which begins with what the draft says.
    FromDraft,
    /// What the one that is written is called.
    Name(String),
    /// Its prompt.
    Prompt(String),
    /// Its negative prompt.
    Negative(String),
    /// Keep what is written.
    Save,
    /// Take the one that is changed from the list. It stays in the editor, from where it can be saved again.
    Delete,
    /// Read another program's styles.
    Import,
}

impl StyleAction {
    /// Text and tooltip; none has a shortcut.
    #[must_use]
    pub fn info(&self) -> Info {
        let (text, tooltip) = match self {
            Self::Wear(_, true) => ("Style", "Put the prompt into this style when a picture is made"),
            Self::Wear(_, false) => ("Take off", "Make pictures without this style"),
            Self::Open => ("Edit styles…", "Write, change and delete styles"),
            Self::Close => ("Close", "Back to the prompt"),
            Self::Choose(_) => ("Edit", "Change this style"),
            Self::New => ("New style", "Write a style from nothing"),
            Self::FromDraft => ("Keep as a style…", "Make a style of what the prompts say now"),
            Self::Name(_) => ("Name", "What the style is called"),
            Self::Prompt(_) => {
                ("Style prompt", "{prompt} stands for what you write; without it, the style goes behind what you write")
            }
            Self::Negative(_) => ("Style negative prompt", "The same for the negative prompt; may stay empty"),
            Self::Save => ("Save", "Keep the style under this name"),
            Self::Delete => ("Delete", "Take this style from the list. Until you close, Save brings it back"),
            Self::Import => ("Import…", "Read a styles.csv of another program"),
        };
        Info { text, tooltip, shortcut: None }
    }
}

impl Styles {
    pub(super) fn new(applied: Vec<String>) -> Self {
        Self { applied, ..Self::default() }
    }

    /// The style of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PromptStyle> {
        self.list.iter().find(|style| style.name == name)
    }

    /// Those that the prompt is put into. One that is not there any more changes nothing.
    fn worn(&self) -> impl Iterator<Item = &PromptStyle> {
        self.applied.iter().filter_map(|name| self.get(name))
    }

    /// Why what is written cannot be kept.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let editor = self.editor.as_ref()?;
        let name = editor.style.name.trim();
        if name.is_empty() {
            return Some("Give it a name");
        }
        let is_taken = editor.changed.as_deref() != Some(name) && self.get(name).is_some();
        is_taken.then_some("Another style has this name")
    }

    /// Keeps what is written.
    fn keep(&mut self) -> bool {
        if self.problem().is_some() {
            return false;
        }
        let Some(editor) = &mut self.editor else { return false };
        editor.style.name = editor.style.name.trim().to_owned();
        let style = editor.style.clone();
        let before = editor.changed.replace(style.name.clone());
        match self.list.iter_mut().find(|other| Some(&other.name) == before.as_ref()) {
            Some(other) => {
                for applied in self.applied.iter_mut().filter(|applied| **applied == other.name) {
                    applied.clone_from(&style.name);
                }
                *other = style;
            }
            None => self.list.push(style),
        }
        true
    }
}

impl State {
    /// The draft's request with its prompts put into their styles: what Generate makes.
    #[must_use]
    pub fn styled_request(&self) -> Cow<'_, GenerateRequest> {
        let request = &self.draft.request;
        if self.prompt.styles.worn().next().is_none() {
            return Cow::Borrowed(request);
        }
        let [prompt, negative_prompt] = PromptField::BOTH.map(|field| self.styled(field).text);
        Cow::Owned(GenerateRequest { prompt, negative_prompt, ..request.clone() })
    }

    /// A field put into its styles.
    #[must_use]
    pub fn styled(&self, field: PromptField) -> Styled {
        let template = |style: &'_ PromptStyle| match field {
            PromptField::Prompt => style.prompt.clone(),
            PromptField::Negative => style.negative_prompt.clone(),
        };
        let templates: Vec<String> = self.prompt.styles.worn().map(template).collect();
        styled(field.text(&self.draft.request), templates.iter().map(String::as_str))
    }

    pub(super) fn apply_style(&mut self, action: StyleAction) -> Vec<Effect> {
        let styles = &mut self.prompt.styles;
        match action {
            StyleAction::Wear(name, on) => {
                styles.applied.retain(|applied| *applied != name);
                if on {
                    styles.applied.push(name);
                }
                self.mark_dirty();
            }
            StyleAction::Open => {
                let first = styles.applied.iter().find_map(|name| styles.get(name)).or(styles.list.first());
                styles.editor = Some(first.map_or_else(StyleEditor::default, StyleEditor::of));
                self.prompt.completion = None;
            }
            StyleAction::Close => styles.editor = None,
            StyleAction::Choose(name) => {
                if let Some(style) = styles.get(&name) {
                    styles.editor = Some(StyleEditor::of(style));
                }
            }
            StyleAction::New => styles.editor = Some(StyleEditor::default()),
            StyleAction::FromDraft => {
                let GenerateRequest { prompt, negative_prompt, .. } = self.draft.request.clone();
                let style = PromptStyle { name: String::new(), prompt, negative_prompt };
                styles.editor = Some(StyleEditor { changed: None, style });
                self.prompt.completion = None;
            }
            StyleAction::Name(text) => styles.write(|style| style.name = text),
            StyleAction::Prompt(text) => styles.write(|style| style.prompt = text),
            StyleAction::Negative(text) => styles.write(|style| style.negative_prompt = text),
            StyleAction::Save => {
                if styles.keep() {
                    return self.save_styles();
                }
            }
            StyleAction::Delete => {
                if let Some(name) = styles.editor.as_mut().and_then(|editor| editor.changed.take()) {
                    styles.list.retain(|style| style.name != name);
                    styles.applied.retain(|applied| *applied != name);
                    return self.save_styles();
                }
            }
            StyleAction::Import => return self.ask(DialogRequest::Styles),
        }
        Vec::new()
    }

    fn save_styles(&mut self) -> Vec<Effect> {
        self.mark_dirty();
        let save = PromptsCommand::SaveStyles(self.prompt.styles.list.clone());
        let mut effects = vec![Effect::Library(LibraryCommand::Prompts(save))];
        effects.extend(self.count());
        effects
    }

    /// A file of another program's styles was chosen.
    pub(super) fn import_styles(path: PathBuf) -> Vec<Effect> {
        vec![Effect::Library(LibraryCommand::Prompts(PromptsCommand::ImportStyles(path)))]
    }

    /// Adds another program's styles. One of a name that is taken gets another name, unless it is the same.
    pub(super) fn take_in_styles(&mut self, found: Vec<PromptStyle>, skipped: usize) -> Vec<Effect> {
        let styles = &mut self.prompt.styles;
        let (mut added, mut known) = (0, 0);
        for mut style in found {
            if styles.list.contains(&style) {
                known += 1;
                continue;
            }
            let name = style.name.clone();
            let mut number = 2;
            while styles.get(&style.name).is_some() {
                style.name = format!("{name} {number}");
                number += 1;
            }
            styles.list.push(style);
            added += 1;
        }
        let count = |count: usize| if count == 1 { "1 style".to_owned() } else { format!("{count} styles") };
        let mut told = vec![format!("{} imported", count(added))];
        if known > 0 {
            told.push(format!("{} here already", if known == 1 { "1 was" } else { "the others were" }));
        }
        if skipped > 0 {
            let rows = if skipped == 1 { "1 row".to_owned() } else { format!("{skipped} rows") };
            told.push(format!("{rows} without a style left out"));
        }
        self.notices.info(told.join("; "), None);
        if added == 0 { Vec::new() } else { self.save_styles() }
    }
}

impl Styles {
    fn write(&mut self, change: impl FnOnce(&mut PromptStyle)) {
        if let Some(editor) = &mut self.editor {
            change(&mut editor.style);
        }
    }
}

impl StyleEditor {
    fn of(style: &PromptStyle) -> Self {
        Self { changed: Some(style.name.clone()), style: style.clone() }
    }
}
