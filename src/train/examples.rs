//! [`Examples`]: the pictures and captions of a training, looked at but not yet read.

use std::path::PathBuf;

use super::buckets::{self, Side};
use super::order::kept_apart;
use crate::dataset::caption::captions;
use crate::dataset::{Template, picture, source};
use crate::domain::training::TrainingConfig;
use crate::domain::{Result, UserError};

/// A picture with its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The picture's file.
    pub picture: PathBuf,
    /// Its caption.
    pub caption: String,
    /// Its own width and height in px.
    pub own: Side,
    /// Which of [`Examples::sizes`] it gets.
    pub size: usize,
    /// How often an epoch shows it.
    pub repeats: u32,
    /// Whether it is kept apart, and never learnt from.
    pub apart: bool,
}

/// The pictures and captions of a training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples {
    /// All of them, in the data set's order.
    pub list: Vec<Example>,
    /// Sizes in px.
    pub sizes: Vec<Side>,
    /// What is worth knowing of them.
    pub notices: Vec<String>,
}

impl Examples {
    /// Reads the data set that the settings name.
    ///
    /// # Errors
    /// When there is none, or none of its pictures can be read.
    pub fn read(config: &TrainingConfig) -> Result<Self> {
        let template = config.caption.as_deref().map(Template::parse).transpose()?;
        let dataset = source::read(&config.dataset, config.dataset_kind.as_deref())?;
        let texts = captions(&dataset, template.as_ref())?;
        let sizes = buckets::sizes(&config.pictures);
        let mut list = Vec::new();
        let (mut unreadable, mut first_unreadable, mut small, mut without_caption) = (0, None, 0, 0);
        let (mut excluded, mut missing) = (0, 0);
        for (row, text) in dataset.rows.iter().zip(texts) {
            if row.is_excluded {
                excluded += 1;
                continue;
            }
            let Some(path) = &row.picture else {
                missing += 1;
                continue;
            };
            let own = match picture::dimensions(path) {
                Ok(own) => own,
                Err(why) => {
                    unreadable += 1;
                    first_unreadable.get_or_insert_with(|| format!("{}: {why}", row.name));
                    continue;
                }
            };
            let size = buckets::nearest(&sizes, own);
            small += usize::from(own.0 < sizes[size].0 || own.1 < sizes[size].1);
            without_caption += usize::from(text.is_empty());
            let repeats = row.repeats.max(1);
            list.push(Example { picture: path.clone(), caption: text, own, size, repeats, apart: false });
        }
        if list.is_empty() {
            let error = UserError::input("The data set has no picture that can be read").path(&config.dataset);
            return Err(match first_unreadable {
                Some(first) => error.hint(format!("the first one is {first}")),
                None => error.hint("atelier dataset check says what is wrong with it"),
            });
        }
        let apart = kept_apart(config.seed, list.len(), config.validation.share);
        for (example, apart) in list.iter_mut().zip(apart) {
            example.apart = apart;
        }
        let mut notices = Vec::new();
        let mut note = |count: usize, what: &str| {
            if count > 0 {
                notices.push(format!("{count} {what}"));
            }
        };
        note(excluded, "rows are excluded and not learnt from");
        note(missing, "rows have no picture and are left out");
        if let Some(first) = first_unreadable {
            note(unreadable, &format!("pictures cannot be read and are left out (the first one is {first})"));
        }
        note(small, "pictures are smaller than the training needs and are enlarged, which is learnt as blur");
        note(without_caption, "pictures have no caption and are learnt without words");
        Ok(Self { list, sizes, notices })
    }

    /// Those that are learnt from: index, size, repeats.
    pub fn learnt(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        let learnt = self.list.iter().enumerate().filter(|(_, example)| !example.apart);
        learnt.map(|(index, example)| (index, example.size, example.repeats))
    }

    /// The places of those that are kept apart.
    #[must_use]
    pub fn apart(&self) -> Vec<usize> {
        (0..self.list.len()).filter(|index| self.list[*index].apart).collect()
    }
}
