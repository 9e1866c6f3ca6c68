//! Parameters of a search space.

use diwan_api::{Distribution, FeasibleSpace, ParameterSpec, ParameterType};

use crate::v1beta1 as message;

impl From<&ParameterSpec> for message::ParameterSpec {
    fn from(spec: &ParameterSpec) -> Self {
        use message::ParameterType as Type;
        let type_ = match spec.parameter_type {
            Some(ParameterType::Double) => Type::Double,
            Some(ParameterType::Int) => Type::Int,
            Some(ParameterType::Discrete) => Type::Discrete,
            Some(ParameterType::Categorical) => Type::Categorical,
            Some(ParameterType::Unknown | ParameterType::Other(_)) | None => Type::UnknownType,
        };
        Self {
            name: spec.name.clone(),
            parameter_type: type_.into(),
            feasible_space: Some((&spec.feasible_space).into()),
        }
    }
}

impl From<&FeasibleSpace> for message::FeasibleSpace {
    fn from(space: &FeasibleSpace) -> Self {
        use message::Distribution as D;
        let distribution = match space.distribution {
            Some(Distribution::Uniform) => D::Uniform,
            Some(Distribution::LogUniform) => D::LogUniform,
            Some(Distribution::Normal) => D::Normal,
            Some(Distribution::LogNormal) => D::LogNormal,
            Some(Distribution::Unknown | Distribution::Other(_)) | None => D::Unspecified,
        };
        Self {
            max: space.max.clone(),
            min: space.min.clone(),
            list: space.list.clone(),
            step: space.step.clone(),
            distribution: distribution.into(),
        }
    }
}

impl From<message::ParameterSpec> for ParameterSpec {
    fn from(spec: message::ParameterSpec) -> Self {
        use message::ParameterType as Type;
        let type_ = match spec.parameter_type() {
            Type::Double => ParameterType::Double,
            Type::Int => ParameterType::Int,
            Type::Discrete => ParameterType::Discrete,
            Type::Categorical => ParameterType::Categorical,
            Type::UnknownType => ParameterType::Unknown,
        };
        Self {
            name: spec.name,
            parameter_type: Some(type_),
            feasible_space: spec.feasible_space.map(Into::into).unwrap_or_default(),
        }
    }
}

impl From<message::FeasibleSpace> for FeasibleSpace {
    fn from(space: message::FeasibleSpace) -> Self {
        use message::Distribution as D;
        let distribution = match space.distribution() {
            D::Unspecified => None,
            D::Uniform => Some(Distribution::Uniform),
            D::LogUniform => Some(Distribution::LogUniform),
            D::Normal => Some(Distribution::Normal),
            D::LogNormal => Some(Distribution::LogNormal),
        };
        Self {
            max: space.max,
            min: space.min,
            list: space.list,
            step: space.step,
            distribution,
        }
    }
}
