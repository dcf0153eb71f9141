//! The contents of a chart: numbers for each label, series by series.

/// The contents of a chart.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    /// What the numbers count, such as `calls per hour`.
    pub unit: String,
    /// What the labels are, such as `hour (UTC)`.
    pub along: String,
    pub kind: Kind,
    /// The labels from left to right.
    pub labels: Vec<String>,
    pub series: Vec<Series>,
}

/// How the numbers are drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Stacked bars, for parts that make a whole.
    Bars,
    Lines,
}

/// A number for each label, `None` where there is none: there, lines are broken.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub values: Vec<Option<u64>>,
}

/// A colour of the style sheet, and the dashes of a line of that colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Colour(u8);

impl Colour {
    /// The colour of calls that X refused.
    pub const REFUSED: Colour = Colour(8);
    /// The colour of calls at which X failed.
    pub const FAILED: Colour = Colour(9);
    /// The colour of calls that X did not answer.
    pub const SILENT: Colour = Colour(10);

    const PLAIN: usize = 8;

    /// One of eight colours without a meaning of their own; dark and light ones alternate.
    pub fn plain(place: usize) -> Colour {
        Colour(u8::try_from(place % Colour::PLAIN).unwrap_or_default())
    }

    pub fn number(self) -> u8 {
        self.0
    }
}

impl Series {
    pub fn get(&self, index: usize) -> Option<u64> {
        self.values.get(index).copied().flatten()
    }

    /// The number at a label, 0 if there is none.
    pub fn at(&self, index: usize) -> u64 {
        self.get(index).unwrap_or_default()
    }
}
