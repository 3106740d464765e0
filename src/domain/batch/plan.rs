//! [`Plan`]: what the rows of a table mean, and what is wrong with them.

use super::super::fnv1a;
use std::path::PathBuf;
use std::sync::Arc;

use super::fields::{Field, Names, RowDraft};
use super::{PromptTemplate, Table};
use crate::domain::{Capabilities, GenerateRequest, ModelRef, Result, UserError};

/// What is the same for all rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// How prompts are made of columns; empty for the column `prompt` as it stands.
    pub template: String,
    /// What rows do not say is said here; its prompt, seed and count are not used.
    pub base: GenerateRequest,
    /// The batch's seed: rows without one of their own draw theirs from it, by their number.
    pub seed: u64,
    /// What the models can do, as far as that is known.
    pub families: Vec<(ModelRef, &'static Capabilities)>,
    /// Models that rows can name.
    pub models: Vec<(String, ModelRef)>,
    /// Adapters that rows can name.
    pub loras: Vec<(String, PathBuf)>,
}

/// A table and what its rows mean.
#[derive(Clone, Debug)]
pub struct Plan {
    table: Arc<Table>,
    setup: Arc<Setup>,
    folder: PathBuf,
    template: Option<PromptTemplate>,
    /// The fields that columns give, the model first, and the columns' places.
    fields: Vec<(&'static Field, usize)>,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Plan {
    /// Looks which columns mean what.
    ///
    /// # Errors
    /// When nothing gives the prompt, the template names a column that is not there, or two columns give one field.
    pub fn new(table: Arc<Table>, setup: Arc<Setup>) -> Result<Self> {
        let mut fields: Vec<(&'static Field, usize)> = Vec::new();
        for (place, column) in table.columns.iter().enumerate() {
            let Some(field) = Field::of_column(column) else { continue };
            if let Some((_, other)) = fields.iter().find(|(other, _)| *other == field) {
                let other = &table.columns[*other];
                let sentence = format!("The columns {other} and {column} both give the {}", field.about);
                return Err(UserError::input(sentence).hint("give one of them another name").path(&table.path));
            }
            fields.push((field, place));
        }
        let template = (!setup.template.trim().is_empty()).then(|| PromptTemplate::parse(&setup.template));
        match &template {
            Some(template) => template.check(&table.columns).map_err(|error| error.path(&table.path))?,
            None if !fields.iter().any(|(field, _)| field.name == "prompt") => {
                let columns: Vec<String> = table.columns.iter().take(12).map(|name| format!("{{{name}}}")).collect();
                return Err(UserError::input("Nothing says what the prompts are: there is no column \"prompt\"")
                    .hint(format!("write a template of the columns: {}", columns.join(" ")))
                    .path(&table.path));
            }
            None => {}
        }
        fields.sort_by_key(|(field, _)| field.name != "model");
        let folder = table.folder();
        Ok(Self { table, setup, folder, template, fields })
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What is the same for all rows.
    #[must_use]
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// Whether rows name their models.
    #[must_use]
    pub fn names_models(&self) -> bool {
        self.fields.iter().any(|(field, _)| field.name == "model")
    }

    /// A row's prompt as it will be, by the row's place from 0; empty where there is no such row.
    #[must_use]
    pub fn prompt(&self, row: usize) -> String {
        let Some(row) = self.table.rows.get(row) else { return String::new() };
        let value = |place: usize| self.table.value(row, place);
        if let Some(template) = &self.template {
            return template.fill(|name| self.table.column(name).map(value));
        }
        let own = self.fields.iter().find(|(field, _)| field.name == "prompt");
        own.map_or_else(String::new, |(_, place)| value(*place).trim().to_owned())
    }

    /// The model that a row asks for.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn model(&self, row: usize) -> std::result::Result<ModelRef, String> {
        let mut draft = RowDraft::new(self.setup.base.clone());
        let model = self.fields.first().filter(|(field, _)| field.name == "model");
        if let (Some((field, place)), Some(row)) = (model, self.table.rows.get(row)) {
            field.take(&mut draft, self.table.value(row, *place), &self.names())?;
        }
        Ok(draft.request.model)
    }

    /// A row's request, by the row's place from 0.
    ///
    /// # Errors
    /// Everything that is wrong with the row, in one sentence.
    pub fn request(&self, index: usize) -> std::result::Result<GenerateRequest, String> {
        let row = self.table.rows.get(index).ok_or_else(|| "there is no such row".to_owned())?;
        if let Some(problem) = &row.problem {
            return Err(problem.clone());
        }
        let mut problems = Vec::new();
        let model = self.model(index).unwrap_or_else(|problem| {
            problems.push(problem);
            self.setup.base.model.clone()
        });
        let mut draft = RowDraft::new(self.base(model));
        let names = self.names();
        for (field, place) in self.fields.iter().filter(|(field, _)| field.name != "model") {
            problems.extend(field.take(&mut draft, self.table.value(row, *place), &names).err());
        }
        draft.request.prompt = self.prompt(index);
        if draft.request.prompt.is_empty() {
            problems.push("the prompt is empty".to_owned());
        }
        match draft.finish() {
            Ok((mut request, has_seed)) => {
                if !has_seed {
                    request.seed = draw_seed(self.setup.seed, index);
                }
                // What is not a number is told already; what is out of bounds is told here.
                if let Some(family) = self.family(&request.model) {
                    problems.extend(request.validate(family).into_iter().map(|problem| problem.sentence));
                }
                if problems.is_empty() { Ok(request) } else { Err(problems.join("; ")) }
            }
            Err(problem) => {
                problems.push(problem);
                Err(problems.join("; "))
            }
        }
    }

    /// What a row does not say: the setup's, and of another model than the setup's what that is best asked for.
    fn base(&self, model: ModelRef) -> GenerateRequest {
        let base = GenerateRequest { count: 1, seed: 0, prompt: String::new(), ..self.setup.base.clone() };
        match self.family(&model).filter(|_| model != base.model) {
            Some(family) => GenerateRequest {
                model,
                width_px: family.native_side_px,
                height_px: family.native_side_px,
                num_inference_steps: family.default_steps,
                guidance_scale: family.default_guidance,
                sampler: family.default_sampler,
                schedule: family.default_schedule,
                ..base
            },
            None => GenerateRequest { model, ..base },
        }
    }

    fn family(&self, model: &ModelRef) -> Option<&'static Capabilities> {
        self.setup.families.iter().find(|(known, _)| known == model).map(|(_, family)| *family)
    }

    fn names(&self) -> Names<'_> {
        Names { folder: &self.folder, models: &self.setup.models, loras: &self.setup.loras }
    }

    /// The fields that columns give, for people: a column's name and what it is taken for.
    pub fn meanings(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.fields.iter().map(|(field, place)| (self.table.columns[*place].as_str(), field.about))
    }
}

/// The seed of a row that has none, by the row's place from 0: 32 bits of `SplitMix64` (Steele, Lea, Flood 2014), so that
/// it depends on nothing but the batch's seed and the row.
#[must_use]
pub fn draw_seed(seed: u64, row: usize) -> u64 {
    let mut z = seed.wrapping_add((row as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 32
}

/// What tells one request from another: FNV-1a over all that makes the picture, in 16 hex digits.
#[must_use]
pub fn request_key(request: &GenerateRequest) -> String {
    // Only a path that is not Unicode cannot be written.
    let text = serde_json::to_string(request).unwrap_or_else(|_| format!("{request:?}"));
    format!("{:016x}", fnv1a(text.as_bytes()))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
