//! Grids: one request, and up to three axes along each of which one of its fields takes several values. Every combination
//! is a picture, a *cell*; all cells together are laid out on a *sheet*.
//!
//! As stable-diffusion-webui's X/Y/Z plot. What an axis can vary is one table, [`FIELDS`]; how its values are typed is in
//! [`values`].

mod fields;
#[cfg(test)]
mod tests;
pub mod values;

pub use fields::{Choices, FIELDS, Field};

use serde::{Deserialize, Serialize};

use super::{Capabilities, GenerateRequest, ModelRef, Recipe, Verdict};

/// Most pictures of a grid.
pub const MAX_CELLS: usize = 500;

/// What differs along one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// Which field.
    pub field: &'static Field,
    /// Its values in order, each as it would be typed.
    pub values: Vec<String>,
}

impl Axis {
    /// Reads what was typed: a list with ranges. A value that stands there twice counts once.
    ///
    /// # Errors
    /// All that is wrong with it, in sentences.
    pub fn read(field: &'static Field, text: &str) -> Result<Self, Vec<String>> {
        let items = values::items(text).map_err(|problem| vec![problem])?;
        let mut found: Vec<String> = Vec::new();
        let mut problems = Vec::new();
        for item in &items {
            match field.read(item) {
                Ok(read) => {
                    for value in read {
                        if !found.contains(&value) {
                            found.push(value);
                        }
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        if items.is_empty() {
            problems.push(format!("{} has no values. They look like this: {}", field.label, field.example));
        }
        if found.len() > MAX_CELLS {
            problems.push(format!("{} has {} values; the most is {MAX_CELLS}", field.label, found.len()));
        }
        if problems.is_empty() { Ok(Self { field, values: found }) } else { Err(problems) }
    }

    /// Reads `field=values`, as the command line has it.
    ///
    /// # Errors
    /// All that is wrong with it, in sentences.
    pub fn read_named(text: &str) -> Result<Self, Vec<String>> {
        let names = || FIELDS.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
        let (name, values) =
            text.split_once('=').ok_or_else(|| vec![format!("\"{text}\" is no axis: write it like guidance=1,4,7")])?;
        let field = Field::of_name(name)
            .ok_or_else(|| vec![format!("There is no field called \"{}\". There are {}", name.trim(), names())])?;
        Self::read(field, values)
    }

    /// The values as a list that is read back as the same ones.
    #[must_use]
    pub fn text(&self) -> String {
        values::list_text(self.values.iter().map(String::as_str))
    }

    /// Its values as they stand beside the pictures.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.values.iter().map(|value| self.field.label_of(value)).collect()
    }

    fn apply(&self, index: usize, request: &mut GenerateRequest) -> Result<(), String> {
        let (Some(first), Some(value)) = (self.values.first(), self.values.get(index)) else {
            return Err(format!("{} has no value {}", self.field.label, index + 1));
        };
        self.field.set(request, first, value)
    }
}

/// What differs from cell to cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axes {
    /// From left to right.
    pub x: Axis,
    /// From top to bottom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<Axis>,
    /// From page to page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z: Option<Axis>,
}

impl Axes {
    /// Those that there are, in the order x, y, z.
    #[must_use]
    pub fn all(&self) -> [Option<&Axis>; 3] {
        [Some(&self.x), self.y.as_ref(), self.z.as_ref()]
    }

    /// How many columns, rows and pages.
    #[must_use]
    pub fn sides(&self) -> [usize; 3] {
        self.all().map(|axis| axis.map_or(1, |axis| axis.values.len()))
    }

    /// How many cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.sides().into_iter().fold(1, usize::saturating_mul)
    }

    /// Column, row and page of a cell. Cells are counted like words on a page.
    #[must_use]
    pub fn place(&self, cell: usize) -> [usize; 3] {
        let [columns, rows, _] = self.sides().map(|side| side.max(1));
        [cell % columns, cell / columns % rows, cell / columns / rows]
    }

    /// A cell's values, as they stand beside the pictures: `Guidance 7, Euler`.
    #[must_use]
    pub fn name_of(&self, cell: usize) -> String {
        let labels = self.all().into_iter().zip(self.place(cell)).filter_map(|(axis, at)| {
            let axis = axis?;
            Some(axis.field.label_of(axis.values.get(at)?))
        });
        labels.collect::<Vec<_>>().join(", ")
    }

    /// All cells, in the order in which they are made: what is costly to change, such as the model, changes least often.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let cost = |at: usize| self.all()[at].map_or(0, |axis| axis.field.cost);
        let mut slow_first = [2, 1, 0];
        // Stable: among equals the pages stay outermost, and the columns innermost.
        slow_first.sort_by_key(|at| std::cmp::Reverse(cost(*at)));
        let mut cells: Vec<usize> = (0..self.cells()).collect();
        cells.sort_by_key(|cell| {
            let place = self.place(*cell);
            slow_first.map(|at| place[at])
        });
        cells
    }
}

/// A request, and what differs from cell to cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// What the cells have in common. Its count is not looked at: a cell is one picture.
    pub base: GenerateRequest,
    /// What differs.
    #[serde(flatten)]
    pub axes: Axes,
}

impl Grid {
    /// The request of a cell.
    ///
    /// # Errors
    /// In a sentence, when there is no such cell, or a value has nothing to be put into, such as a text that is not in the prompt.
    pub fn cell(&self, cell: usize) -> Result<GenerateRequest, String> {
        let cells = self.axes.cells();
        if cell >= cells {
            return Err(format!("There is no picture {}: there are only {cells}", cell + 1));
        }
        let mut request = GenerateRequest { count: 1, ..self.base.clone() };
        let mut steps: Vec<(&Axis, usize)> =
            self.axes.all().into_iter().zip(self.axes.place(cell)).filter_map(|(axis, at)| Some((axis?, at))).collect();
        // In the table's order, in which a field comes before those that depend on it.
        steps.sort_by_key(|(axis, _)| FIELDS.iter().position(|field| field == axis.field));
        for (axis, at) in steps {
            axis.apply(at, &mut request)?;
        }
        Ok(request)
    }

    /// All that is wrong with it, each said once; empty when it can be made. Cells whose model is not known yet are looked
    /// at when they are made.
    #[must_use]
    pub fn problems(&self, family_of: &dyn Fn(&ModelRef) -> Option<&'static Capabilities>) -> Vec<String> {
        let mut problems: Vec<String> = Vec::new();
        let mut add = |problem: String| {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        let axes: Vec<&Axis> = self.axes.all().into_iter().flatten().collect();
        for (at, axis) in axes.iter().enumerate() {
            if axis.values.is_empty() {
                add(format!("{} has no values", axis.field.label));
            }
            if !axis.field.can_repeat() && axes[..at].iter().any(|other| other.field == axis.field) {
                add(format!("{} stands on two axes, of which only one could count", axis.field.label));
            }
        }
        let cells = self.axes.cells();
        if cells > MAX_CELLS {
            add(format!("These are {cells} pictures; the most is {MAX_CELLS}"));
            return problems;
        }
        for cell in 0..cells {
            match self.cell(cell) {
                Ok(request) => {
                    let Some(family) = family_of(&request.model) else { continue };
                    request.validate(family).into_iter().for_each(|problem| add(problem.sentence));
                }
                Err(problem) => add(problem),
            }
        }
        problems
    }

    /// Adds a picture to what is told of the sheet: that is as the first picture, with what all have in common, the time of
    /// all, and flagged where one of them is.
    pub fn tell(&self, sheet: &mut Option<Recipe>, picture: &Recipe) {
        let told = sheet.get_or_insert_with(|| Recipe {
            request: GenerateRequest { count: 1, ..self.base.clone() },
            elapsed_secs: 0.0,
            grid: Some(Box::new(self.axes.clone())),
            ..picture.clone()
        });
        told.elapsed_secs += picture.elapsed_secs;
        told.safety = match (told.safety, picture.safety) {
            (Some(a), Some(b)) => Some(Verdict { flagged: a.flagged || b.flagged, score: a.score.max(b.score) }),
            (a, b) => a.or(b),
        };
    }
}
