//! The mistakes in a form that was sent, shown beside its fields.

/// Each mistake with the name of its field, which is empty for the whole form.
#[derive(Default)]
pub struct Wrong(pub Vec<(String, String)>);

impl Wrong {
    pub fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// All mistakes in one field, in a sentence.
    pub fn with(&self, field: &str) -> Option<String> {
        let its = self.0.iter().filter(|it| it.0 == field).map(|it| &*it.1);
        Some(its.collect::<Vec<_>>().join("; ")).filter(|it| !it.is_empty())
    }
}
