//! From the parser's tree to a [`Node`]: names, arities, types and limits.

mod call;
mod types;

use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, SelectExpr};

use super::literal::Literal;
use super::node::{Lookup, Node, Root};
use super::{MAX_COMPREHENSIONS, MAX_DEPTH, MAX_NODES, Names, Wanted};
use crate::priority::Priority;

pub(super) use types::Type;

/// A mistake at a node.
pub(super) struct Error {
    /// The parser's number of the node.
    pub(super) node: u64,
    pub(super) reason: String,
}

/// A node with what is known of its type before an event comes.
type Typed = (Node, Type);

/// Variables, as an error lists them.
const VARIABLES: &str = "body, headers, source, query, received, attributes, priority, labels";
const ATTRIBUTES: [(&str, Type); 4] =
    [("type", Type::Text), ("id", Type::Text), ("source", Type::Text), ("time", Type::Time)];

/// Checks a tree and returns its nodes.
pub(super) fn lower(tree: &IdedExpr, wanted: Wanted, names: &Names<'_>) -> Result<Node, Error> {
    let mut checker = Checker { names, nodes: 0, comprehensions: 0, item: None };
    let (node, found) = checker.node(tree, 0)?;
    if !found.fits_wanted(wanted) {
        return Err(error(tree, format!("must be {}, not {}", Type::of_wanted(wanted), found.name())));
    }
    Ok(node)
}

struct Checker<'a> {
    names: &'a Names<'a>,
    nodes: usize,
    comprehensions: usize,
    /// Name of the variable of the comprehension around a node.
    item: Option<String>,
}

fn error(at: &IdedExpr, reason: impl Into<String>) -> Error {
    Error { node: at.id, reason: reason.into() }
}

impl Checker<'_> {
    fn node(&mut self, tree: &IdedExpr, depth: usize) -> Result<Typed, Error> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(error(tree, format!("has more than {MAX_NODES} parts")));
        }
        if depth >= MAX_DEPTH {
            return Err(error(tree, format!("is deeper than {MAX_DEPTH}")));
        }
        let depth = depth + 1;
        match &tree.expr {
            Expr::Literal(literal) => match Literal::of(literal) {
                Some(literal) => {
                    let found = Type::of_literal(&literal);
                    Ok((Node::Literal(literal), found))
                }
                None => Err(error(tree, "bytes and unsigned numbers are not supported")),
            },
            Expr::Ident(name) => self.variable(tree, name),
            Expr::Select(select) => self.select(tree, select, depth),
            Expr::Call(call) => self.call(tree, call, depth),
            Expr::Comprehension(comprehension) => self.comprehension(tree, comprehension, depth),
            Expr::List(_) => {
                Err(error(tree, "a list can only stand right of `in`, or before .exists and .all"))
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err(error(tree, "maps and messages cannot be written in an expression"))
            }
        }
    }

    fn variable(&self, tree: &IdedExpr, name: &str) -> Result<Typed, Error> {
        if self.item.as_deref() == Some(name) {
            return Ok((Node::Item, Type::Any));
        }
        Ok(match name {
            "body" => (Node::Body, Type::Any),
            "source" => (Node::Source, Type::Text),
            "received" => (Node::Received, Type::Time),
            "priority" => (Node::Priority, Type::Priority),
            name if root(name).is_some() => {
                return Err(error(tree, format!("{name} needs a name: {name}['...']")));
            }
            _ => return Err(error(tree, format!("{name:?} is not a variable; there are {VARIABLES}"))),
        })
    }

    fn select(&mut self, tree: &IdedExpr, select: &SelectExpr, depth: usize) -> Result<Typed, Error> {
        let field = || select.field.clone();
        if let Some(root) = self.root(&select.operand) {
            let name = Box::new(Node::Literal(Literal::Text(field())));
            let found = self.known_name(tree, root, &select.field)?;
            let lookup = Lookup { root, name };
            let has = (Node::HasName(lookup.clone()), Type::Bool);
            return Ok(if select.test { has } else { (Node::Lookup(lookup), found) });
        }
        let (operand, found) = self.node(&select.operand, depth)?;
        if !matches!(found, Type::Any) {
            return Err(error(tree, format!("{} has no field {:?}", found.name(), select.field)));
        }
        let operand = Box::new(operand);
        Ok(if select.test {
            (Node::HasField(operand, field()), Type::Bool)
        } else {
            (Node::Field(operand, field()), Type::Any)
        })
    }

    /// Returns the collection that an expression names.
    fn root(&self, tree: &IdedExpr) -> Option<Root> {
        match &tree.expr {
            Expr::Ident(name) if self.item.as_deref() != Some(name) => root(name),
            _ => None,
        }
    }

    /// Checks a name that is known before an event comes, and returns the type of its value.
    fn known_name(&self, tree: &IdedExpr, root: Root, name: &str) -> Result<Type, Error> {
        match root {
            Root::Headers if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                let lower = name.to_ascii_lowercase();
                Err(error(tree, format!("names of headers are in lowercase: headers['{lower}']")))
            }
            Root::Headers | Root::Query => Ok(Type::Text),
            Root::Attributes => {
                let known = ATTRIBUTES.iter().find(|(known, _)| *known == name);
                let names = ATTRIBUTES.map(|(name, _)| name).join(", ");
                let reason = || error(tree, format!("{name:?} is not an attribute; there are {names}"));
                known.map(|(_, found)| *found).ok_or_else(reason)
            }
            Root::Labels => match self.names.labels {
                Some(known) if !known.iter().any(|one| one == name) => {
                    Err(error(tree, format!("no rule sets the label {name:?}")))
                }
                _ => Ok(Type::Text),
            },
        }
    }

    fn comprehension(
        &mut self,
        tree: &IdedExpr,
        comprehension: &ComprehensionExpr,
        depth: usize,
    ) -> Result<Typed, Error> {
        self.comprehensions += 1;
        if self.comprehensions > MAX_COMPREHENSIONS {
            return Err(error(tree, format!("has more than {MAX_COMPREHENSIONS} of exists and all")));
        }
        if self.item.is_some() {
            return Err(error(tree, "exists and all cannot stand in each other"));
        }
        // The macros leave `@result || condition` and `@result && condition` behind; all others another step.
        let only = || error(tree, "of the comprehensions only exists and all are supported");
        let Expr::Call(step) = &comprehension.loop_step.expr else { return Err(only()) };
        let all = match step.func_name.as_str() {
            "_||_" => false,
            "_&&_" => true,
            _ => return Err(only()),
        };
        let [_, condition] = &step.args[..] else { return Err(only()) };
        if comprehension.iter_var.starts_with('@') {
            return Err(only());
        }
        let range = self.range(&comprehension.iter_range, depth)?;
        self.item = Some(comprehension.iter_var.clone());
        let condition = self.typed(condition, depth, Type::Bool, "condition");
        self.item = None;
        let condition = Box::new(condition?);
        let node = match range {
            Range::Items(items) => Node::AnyOf { items, condition, all },
            Range::Value(range) if all => Node::All { range: Box::new(range), condition },
            Range::Value(range) => Node::Any { range: Box::new(range), condition },
        };
        Ok((node, Type::Bool))
    }

    fn range(&mut self, tree: &IdedExpr, depth: usize) -> Result<Range, Error> {
        if let Expr::List(list) = &tree.expr {
            let items = list.elements.iter().map(|item| Ok(self.node(item, depth)?.0));
            return Ok(Range::Items(items.collect::<Result<_, Error>>()?));
        }
        let (range, found) = self.node(tree, depth)?;
        if found == Type::Any {
            return Ok(Range::Value(range));
        }
        Err(error(tree, format!("exists and all need a list or a map, not {}", found.name())))
    }

    /// Checks an operand whose type is given.
    fn typed(&mut self, tree: &IdedExpr, depth: usize, wanted: Type, what: &str) -> Result<Node, Error> {
        let (node, found) = self.node(tree, depth)?;
        if found.may_be(wanted) {
            return Ok(node);
        }
        Err(error(tree, format!("{what} must be {}, not {}", wanted.name(), found.name())))
    }
}

enum Range {
    Items(Vec<Node>),
    Value(Node),
}

fn root(name: &str) -> Option<Root> {
    Some(match name {
        "headers" => Root::Headers,
        "query" => Root::Query,
        "attributes" => Root::Attributes,
        "labels" => Root::Labels,
        _ => return None,
    })
}

/// Returns the names of all priorities, as an error lists them.
fn priorities() -> String {
    Priority::ALL.map(Priority::name).join(", ")
}
