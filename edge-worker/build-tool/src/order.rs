//! The order of the functions of a module, by their names: what was compiled from like sources then stands together, and gzip, which looks
//! back 32 KiB and no farther, finds it alike. Of functions that are the same one is kept.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, KnownCustom, Name,
    Parser, Payload, TypeRef,
};

/// The module with its functions in order, and without custom sections.
pub(crate) fn ordered(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut order = Order::of(&Functions::read(wasm)?);
    let mut module = Module::new();
    order
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .context("the module cannot be written anew")?;
    Ok(module.finish())
}

/// The functions of a module; those that it defines come after those that it imports.
#[derive(Default)]
struct Functions<'w> {
    n_imported: u32,
    types: Vec<u32>,
    bodies: Vec<FunctionBody<'w>>,
    names: HashMap<u32, &'w str>,
}

impl<'w> Functions<'w> {
    fn read(wasm: &'w [u8]) -> Result<Self> {
        let mut functions = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        functions.n_imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(types) => {
                    functions.types = types.into_iter().collect::<Result<_, _>>()?
                }
                Payload::CodeSectionEntry(body) => functions.bodies.push(body),
                Payload::CustomSection(section) => functions.read_names(&section)?,
                _ => {}
            }
        }
        Ok(functions)
    }

    fn read_names(&mut self, section: &CustomSectionReader<'w>) -> Result<()> {
        let KnownCustom::Name(subsections) = section.as_known() else { return Ok(()) };
        for subsection in subsections {
            if let Name::Function(names) = subsection? {
                for naming in names {
                    let naming = naming?;
                    self.names.insert(naming.index, naming.name);
                }
            }
        }
        Ok(())
    }
}

/// Where the functions go.
struct Order {
    /// Places among the defined functions, of those that are kept, in their new order.
    kept: Vec<usize>,
    /// New index of each function, by its old one.
    indices: Vec<u32>,
}

impl Order {
    fn of(functions: &Functions<'_>) -> Self {
        let mut first_alike = HashMap::new();
        let bodies = functions.types.iter().zip(&functions.bodies).enumerate();
        let alike: Vec<usize> = bodies
            .map(|(at, (r#type, body))| {
                *first_alike.entry((*r#type, body.as_bytes())).or_insert(at)
            })
            .collect();
        let mut kept: Vec<usize> = (0..alike.len()).filter(|at| alike[*at] == *at).collect();
        kept.sort_by_key(|at| functions.names.get(&(functions.n_imported + *at as u32)));
        let mut places = vec![0; alike.len()];
        for (place, at) in (functions.n_imported..).zip(&kept) {
            places[*at] = place;
        }
        let defined = alike.iter().map(|at| places[*at]);
        let indices = (0..functions.n_imported).chain(defined).collect();
        Self { kept, indices }
    }
}

impl Reencode for Order {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, old: u32) -> Result<u32, Error> {
        Ok(self.indices[old as usize])
    }

    fn parse_function_section(
        &mut self,
        section: &mut FunctionSection,
        types: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        let types = types.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for at in &self.kept {
            section.function(types[*at]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        section: &mut CodeSection,
        bodies: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        let bodies = bodies.into_iter().collect::<Result<Vec<FunctionBody<'_>>, _>>()?;
        for at in self.kept.clone() {
            utils::parse_function_body(self, section, bodies[at].clone())?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        Ok(())
    }
}
