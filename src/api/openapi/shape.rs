//! Schemas of Rust types, with the components that they bring along.

use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

use crate::api::openapi::schemas::{listing, page};

/// A schema, and the components that it refers to as far as they are derived from Rust types.
pub(crate) struct Shape {
    pub(super) schema: RefOr<Schema>,
    pub(super) components: Vec<(String, RefOr<Schema>)>,
}

/// The schema of a type, as a component.
pub(crate) fn shape<T: ToSchema>() -> Shape {
    let name = T::name().into_owned();
    let schema = Ref::from_schema_name(&name).into();
    let mut components = vec![(name, T::schema())];
    T::schemas(&mut components);
    Shape { schema, components }
}

/// A page of a list, with the value of the parameter `next` for the following page.
pub(crate) fn page_of<T: ToSchema>(name: &str, next: &str, kind: Type) -> Shape {
    Shape { schema: page(name, &T::name(), next, kind), ..shape::<T>() }
}

/// A list without pages.
pub(crate) fn listing_of<T: ToSchema>(name: &str) -> Shape {
    Shape { schema: listing(name, &T::name()), ..shape::<T>() }
}

impl From<RefOr<Schema>> for Shape {
    fn from(schema: RefOr<Schema>) -> Shape {
        Shape { schema, components: Vec::new() }
    }
}

impl From<Ref> for Shape {
    fn from(reference: Ref) -> Shape {
        RefOr::Ref(reference).into()
    }
}

impl From<ObjectBuilder> for Shape {
    fn from(object: ObjectBuilder) -> Shape {
        RefOr::T(Schema::from(object.build())).into()
    }
}
