//! [`RowResult`]: what became of a row.

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowStatus {
    /// Its pictures are there.
    Done,
    /// It could not be made, or something is wrong with it.
    Failed,
}

impl RowStatus {
    /// As the results file writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed => "failed",
        }
    }

    /// The status of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Done, Self::Failed].into_iter().find(|status| status.name() == name)
    }
}

/// What became of a row, as the results file keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct RowResult {
    /// Which row, from 0.
    pub row: usize,
    /// How it ended.
    pub status: RowStatus,
    /// Its pictures.
    pub paths: Vec<String>,
    /// The seed of the first of them; `None` where there was no request.
    pub seed: Option<u64>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What is wrong, in one sentence; empty where nothing is.
    pub error: String,
    /// What tells whether a request is the one that was made: [`super::request_key`]; empty where there was none.
    pub request: String,
}

impl RowResult {
    /// The result of a row that something is wrong with.
    #[must_use]
    pub fn failed(row: usize, error: impl Into<String>) -> Self {
        let error = error.into();
        Self {
            row,
            status: RowStatus::Failed,
            paths: Vec::new(),
            seed: None,
            seconds: 0.0,
            error,
            request: String::new(),
        }
    }

    /// Whether it is that of this request, and good.
    #[must_use]
    pub fn is_done(&self, request: &str) -> bool {
        self.status == RowStatus::Done && self.request == request
    }
}
