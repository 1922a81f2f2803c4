//! XML that a script has fetched, as a document that it can read (VoiceXML 2.1 §5).

use rquickjs::Function;

use super::super::fault::Fault;
use super::super::value::Value;
use super::convert::to_js;
use super::{Engine, Level, evaluate, kept, scope};

/// The function that makes documents.
const MAKER: usize = 11;

impl Engine {
    /// Makes a document of a tree, as `dom.js` has it, and that a variable.
    pub(crate) fn set_document(&self, level: Level, name: &str, tree: &Value) -> Result<(), Fault> {
        self.enter(|ctx| {
            let maker: Function<'_> = match kept(ctx, MAKER)?.into_function() {
                Some(maker) => maker,
                None => {
                    let maker: Function<'_> = evaluate(ctx, include_str!("dom.js"))?;
                    super::keep_at(ctx, MAKER, maker.clone().into_value())?;
                    maker
                }
            };
            let document: rquickjs::Value<'_> = maker.call((to_js(ctx, tree)?,))?;
            scope(ctx, level)?.map_or(Ok(()), |scope| scope.set(name, document))
        })
    }
}
