//! What is wrong with a form that was sent, told beside its fields.

/// Each field by name, or an empty one for the whole form, with what is wrong.
#[derive(Default)]
pub struct Wrong(pub Vec<(String, String)>);

impl Wrong {
    pub fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// All that is wrong with one field, in a sentence.
    pub fn with(&self, field: &str) -> Option<String> {
        let its = self.0.iter().filter(|it| it.0 == field).map(|it| &*it.1);
        Some(its.collect::<Vec<_>>().join("; ")).filter(|it| !it.is_empty())
    }
}
