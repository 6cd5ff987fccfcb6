//! The one macro behind the wire types: a struct, how it is read from a request or written into an answer,
//! and its description as data, all from one declaration.

/// Declares the structs of the model.
///
/// `input` types are read from requests, `output` types are written into answers, `both` is both. Each
/// member names its field, its type and its name on the wire; its bounds follow after `=>`. A type of
/// `Option` makes a parameter optional, or a field nullable.
macro_rules! model {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident($wire:literal): $direction:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty = $member:literal $(=> $rules:expr)?,)*
        }
    )+) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        $crate::model::$direction! {
            $name, $wire, $($field: $type = $member, $crate::model::rules!($($rules)?);)*
        }
    )+ };
}

/// The bounds of a member, none unless some are given.
macro_rules! rules {
    () => {
        $crate::schema::Rules::NONE
    };
    ($rules:expr) => {
        $rules
    };
}

/// The reading half of [`model`].
macro_rules! input {
    ($name:ident, $wire:literal, $($field:ident: $type:ty = $member:literal, $rules:expr;)*) => {
        impl $crate::decode::DecodeObject for $name {
            const OBJECT: &'static $crate::schema::ObjectSchema = &$crate::schema::ObjectSchema {
                name: $wire,
                members: &[$($crate::schema::Member {
                    name: $member,
                    shape: <$type as $crate::decode::Decode>::SHAPE,
                    required: <$type as $crate::decode::Decode>::REQUIRED,
                    rules: $rules,
                },)*],
            };
        }

        impl $crate::decode::Decode for $name {
            const SHAPE: $crate::schema::Shape =
                $crate::schema::Shape::Object(<Self as $crate::decode::DecodeObject>::OBJECT);

            #[allow(unused_mut)]
            fn decode(
                value: $crate::value::Value,
                at: &$crate::decode::Location<'_>,
                _: &$crate::schema::Rules,
            ) -> Result<Self, $crate::error::ApiError> {
                let mut members = $crate::decode::Members::open(value, at, &[$($member,)*])?;
                $(let $field = members.take::<$type>($member, &const { $rules })?;)*
                let _ = members;
                Ok(Self { $($field,)* })
            }
        }
    };
}

/// The writing half of [`model`].
macro_rules! output {
    ($name:ident, $wire:literal, $($field:ident: $type:ty = $member:literal, $rules:expr;)*) => {
        impl $crate::encode::Encode for $name {
            const SHAPE: $crate::schema::Shape =
                $crate::schema::Shape::Object(<Self as $crate::encode::EncodeObject>::OBJECT);

            fn encode(&self, out: &mut String) {
                let mut members = $crate::encode::ObjectWriter::begin(out);
                $crate::encode::EncodeObject::encode_members(self, &mut members);
                members.end();
            }
        }

        impl $crate::encode::EncodeObject for $name {
            const OBJECT: &'static $crate::schema::ObjectSchema = &$crate::schema::ObjectSchema {
                name: $wire,
                members: &[$($crate::schema::Member {
                    name: $member,
                    shape: <$type as $crate::encode::Encode>::SHAPE,
                    required: !<$type as $crate::encode::Encode>::NULLABLE,
                    rules: $rules,
                },)*],
            };

            fn encode_members(&self, members: &mut $crate::encode::ObjectWriter<'_>) {
                let _ = &members;
                $(members.member($member, &self.$field);)*
            }
        }
    };
}

/// Both halves of [`model`].
macro_rules! both {
    ($($all:tt)*) => {
        $crate::model::input! { $($all)* }
        $crate::model::output! { $($all)* }
    };
}

pub(crate) use {both, input, model, output, rules};
