//! Checks of calls and operators.

use cel::common::ast::{CallExpr, Expr, IdedExpr, operators};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::{Checker, Error, Type, Typed, error, priorities};
use crate::expr::function::{Declaration, FUNCTIONS, Function, Style};
use crate::expr::literal::Literal;
use crate::expr::node::{Arithmetic, Lookup, Node, Order, Pattern};
use crate::priority::Priority;

impl Checker<'_> {
    pub(super) fn call(&mut self, tree: &IdedExpr, call: &CallExpr, depth: usize) -> Result<Typed, Error> {
        let operator = call.func_name.as_str();
        match (operator, &call.args[..]) {
            (operators::LOGICAL_AND, [left, right]) => {
                let (left, right) = self.conditions(left, right, depth, "&&")?;
                Ok((Node::And(left, right), Type::Bool))
            }
            (operators::LOGICAL_OR, [left, right]) => {
                let (left, right) = self.conditions(left, right, depth, "||")?;
                Ok((Node::Or(left, right), Type::Bool))
            }
            (operators::LOGICAL_NOT, [operand]) => {
                let operand = self.typed(operand, depth, Type::Bool, "operand of !")?;
                Ok((Node::Not(Box::new(operand)), Type::Bool))
            }
            (operators::NEGATE, [operand]) => {
                let operand = self.typed(operand, depth, Type::Number, "operand of -")?;
                Ok((Node::Negate(Box::new(operand)), Type::Number))
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let condition = self.typed(condition, depth, Type::Bool, "condition of ?")?;
                let (yes, no) = (self.node(yes, depth)?, self.node(no, depth)?);
                let found = if yes.1 == no.1 { yes.1 } else { Type::Any };
                Ok((Node::If(Box::new([condition, yes.0, no.0])), found))
            }
            (operators::EQUALS, [left, right]) => self.equal(tree, left, right, depth, false),
            (operators::NOT_EQUALS, [left, right]) => self.equal(tree, left, right, depth, true),
            (operators::IN, [item, list]) => self.contained(tree, item, list, depth),
            (operators::INDEX, [operand, index]) => self.index(tree, operand, index, depth),
            (_, [left, right]) if order(operator).is_some() => {
                let order = order(operator).unwrap_or(Order::Less);
                self.compare(tree, order, left, right, depth)
            }
            (_, [left, right]) if arithmetic(operator).is_some() => {
                let operation = arithmetic(operator).unwrap_or(Arithmetic::Add);
                self.arithmetic(tree, operation, left, right, depth)
            }
            _ => self.function(tree, call, depth),
        }
    }

    fn conditions(
        &mut self,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
        sign: &str,
    ) -> Result<(Box<Node>, Box<Node>), Error> {
        let what = format!("operand of {sign}");
        let left = self.typed(left, depth, Type::Bool, &what)?;
        let right = self.typed(right, depth, Type::Bool, &what)?;
        Ok((Box::new(left), Box::new(right)))
    }

    fn equal(
        &mut self,
        tree: &IdedExpr,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
        negated: bool,
    ) -> Result<Typed, Error> {
        let (one, other) = (self.node(left, depth)?, self.node(right, depth)?);
        let is_null = [one.1, other.1].contains(&Type::Null);
        if !one.1.may_be(other.1) && !is_null {
            let (left, right) = (one.1.name(), other.1.name());
            return Err(error(tree, format!("{left} never equals {right}")));
        }
        self.known_priority(tree, &one, &other)?;
        self.known_priority(tree, &other, &one)?;
        Ok((Node::Equal { sides: Box::new([one.0, other.0]), negated }, Type::Bool))
    }

    /// Refuses a priority that does not exist, which no event can have.
    #[expect(clippy::unused_self, reason = "called as the other checks are")]
    fn known_priority(&self, tree: &IdedExpr, one: &Typed, other: &Typed) -> Result<(), Error> {
        match (one.1, &other.0) {
            (Type::Priority, Node::Literal(Literal::Text(name)))
                if !Priority::ALL.iter().any(|priority| priority.name() == name) =>
            {
                Err(error(tree, format!("{name:?} is not a priority; there are {}", priorities())))
            }
            _ => Ok(()),
        }
    }

    fn contained(
        &mut self,
        tree: &IdedExpr,
        item: &IdedExpr,
        list: &IdedExpr,
        depth: usize,
    ) -> Result<Typed, Error> {
        if let Some(root) = self.root(list) {
            let name = self.typed(item, depth, Type::Text, "name")?;
            if let Node::Literal(Literal::Text(name)) = &name {
                self.known_name(tree, root, name)?;
            }
            return Ok((Node::HasName(Lookup { root, name: Box::new(name) }), Type::Bool));
        }
        let item = self.node(item, depth)?;
        if let Expr::List(list) = &list.expr {
            let mut items = Vec::with_capacity(list.elements.len());
            for element in &list.elements {
                let one = self.node(element, depth)?;
                if !one.1.may_be(item.1) {
                    let (left, right) = (item.1.name(), one.1.name());
                    return Err(error(element, format!("{left} never equals {right}")));
                }
                self.known_priority(element, &item, &one)?;
                items.push(one.0);
            }
            return Ok((Node::InList(Box::new(item.0), items), Type::Bool));
        }
        let (range, found) = self.node(list, depth)?;
        if found != Type::Any {
            return Err(error(
                tree,
                format!("right side of `in` must be a list or a map, not {}", found.name()),
            ));
        }
        Ok((Node::In(Box::new(item.0), Box::new(range)), Type::Bool))
    }

    fn index(
        &mut self,
        tree: &IdedExpr,
        operand: &IdedExpr,
        index: &IdedExpr,
        depth: usize,
    ) -> Result<Typed, Error> {
        if let Some(root) = self.root(operand) {
            let name = self.typed(index, depth, Type::Text, "name")?;
            let found = match &name {
                Node::Literal(Literal::Text(name)) => self.known_name(tree, root, name)?,
                _ => Type::Any,
            };
            return Ok((Node::Lookup(Lookup { root, name: Box::new(name) }), found));
        }
        let (operand, found) = self.node(operand, depth)?;
        let (index, by) = self.node(index, depth)?;
        if found != Type::Any || !(by.may_be(Type::Text) || by.may_be(Type::Number)) {
            return Err(error(tree, format!("{} cannot be indexed by {}", found.name(), by.name())));
        }
        if let Node::Literal(Literal::Text(name)) = index {
            return Ok((Node::Field(Box::new(operand), name), Type::Any));
        }
        Ok((Node::Index(Box::new(operand), Box::new(index)), Type::Any))
    }

    fn compare(
        &mut self,
        tree: &IdedExpr,
        order: Order,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
    ) -> Result<Typed, Error> {
        let (one, other) = (self.node(left, depth)?, self.node(right, depth)?);
        if [one.1, other.1].contains(&Type::Priority) {
            return Err(error(tree, "priorities have no order in expressions: use == or in"));
        }
        if !one.1.may_be(other.1) || [one.1, other.1].contains(&Type::Null) {
            let (left, right) = (one.1.name(), other.1.name());
            return Err(error(tree, format!("{left} cannot be compared with {right}")));
        }
        Ok((Node::Compare(order, Box::new([one.0, other.0])), Type::Bool))
    }

    fn arithmetic(
        &mut self,
        tree: &IdedExpr,
        operation: Arithmetic,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
    ) -> Result<Typed, Error> {
        let (one, other) = (self.node(left, depth)?, self.node(right, depth)?);
        let found = result(operation, one.1, other.1).ok_or_else(|| {
            let (sign, left, right) = (operation.sign(), one.1.name(), other.1.name());
            error(tree, format!("{sign} needs numbers, not {left} and {right}"))
        })?;
        Ok((Node::Arithmetic(operation, Box::new([one.0, other.0])), found))
    }

    fn function(&mut self, tree: &IdedExpr, call: &CallExpr, depth: usize) -> Result<Typed, Error> {
        let name = call.func_name.as_str();
        let known = FUNCTIONS.iter().find(|one| one.name == name).ok_or_else(|| {
            let names: Vec<_> = FUNCTIONS.iter().map(|one| one.name).collect();
            error(
                tree,
                format!("{name:?} is not a function; there are {}, has, exists, all", names.join(", ")),
            )
        })?;
        match (known.style, &call.target) {
            (Style::Member, None) => {
                return Err(error(tree, format!("{name} is called as value.{name}(...)")));
            }
            (Style::Global, Some(_)) => {
                return Err(error(tree, format!("{name} is called as {name}(value)")));
            }
            _ => {}
        }
        let trees: Vec<&IdedExpr> = call.target.iter().map(|target| &**target).chain(&call.args).collect();
        let most = known.arguments.len();
        if !(most - known.optional..=most).contains(&trees.len()) {
            let of_target = usize::from(call.target.is_some());
            let (wanted, given) = (most - of_target, trees.len() - of_target);
            let optional = if known.optional > 0 { "at most " } else { "" };
            return Err(error(tree, format!("{name} needs {optional}{wanted} arguments, not {given}")));
        }
        let mut arguments = Vec::with_capacity(trees.len());
        for (tree, wanted) in trees.iter().zip(known.arguments) {
            arguments.push(self.typed(tree, depth, *wanted, &format!("argument of {name}"))?);
        }
        Ok((compiled(tree, known, arguments)?, known.result))
    }
}

/// Compiles what is constant in a call: patterns, time zones, times.
fn compiled(tree: &IdedExpr, known: &Declaration, mut arguments: Vec<Node>) -> Result<Node, Error> {
    let constant = |node: Option<&Node>| match node {
        Some(Node::Literal(Literal::Text(text))) => Some(text.clone()),
        _ => None,
    };
    let function = known.function;
    let last = constant(arguments.last());
    if function == Function::Matches {
        let pattern = last.ok_or_else(|| error(tree, "pattern of matches must be a constant string"))?;
        let pattern = Pattern::compile(&pattern).map_err(|reason| error(tree, reason))?;
        arguments.truncate(1);
        let text = arguments.pop().unwrap_or(Node::Literal(Literal::Null));
        return Ok(Node::Matches(Box::new(text), pattern));
    }
    if function.is_clock() {
        let zone = if arguments.len() == 2 {
            let name = last.ok_or_else(|| error(tree, "time zone must be a constant string"))?;
            let unknown = |_| error(tree, format!("{name:?} is not a time zone such as Europe/Kyiv"));
            TimeZoneDatabase::bundled().get(&name).map_err(unknown)?
        } else {
            TimeZone::UTC
        };
        arguments.truncate(1);
        let time = arguments.pop().unwrap_or(Node::Literal(Literal::Null));
        return Ok(Node::Clock(function, Box::new(time), zone));
    }
    match (function, last) {
        (Function::Timestamp, Some(text)) => text
            .parse::<Timestamp>()
            .map(Node::Time)
            .map_err(|_| error(tree, format!("{text:?} is not a timestamp such as 2026-12-01T09:00:00Z"))),
        (Function::Duration, Some(text)) => text
            .parse::<SignedDuration>()
            .map(Node::Span)
            .map_err(|_| error(tree, format!("{text:?} is not a duration such as 1h30m"))),
        _ => Ok(Node::Call(function, arguments)),
    }
}

/// Returns the type of a result, or `None` if the operation cannot be done.
fn result(operation: Arithmetic, left: Type, right: Type) -> Option<Type> {
    let number = left.may_be(Type::Number) && right.may_be(Type::Number);
    let known = (left, right);
    match (operation, known) {
        (_, (Type::Number, Type::Number)) => Some(Type::Number),
        (Arithmetic::Add, (Type::Time, Type::Span | Type::Any) | (Type::Span | Type::Any, Type::Time)) => {
            Some(Type::Time)
        }
        (Arithmetic::Add | Arithmetic::Subtract, (Type::Span, Type::Span))
        | (Arithmetic::Subtract, (Type::Time, Type::Time)) => Some(Type::Span),
        (Arithmetic::Subtract, (Type::Time, Type::Span)) => Some(Type::Time),
        (Arithmetic::Add | Arithmetic::Subtract, _)
            if [left, right]
                .iter()
                .all(|one| matches!(one, Type::Any | Type::Number | Type::Time | Type::Span))
                && [left, right].contains(&Type::Any) =>
        {
            Some(Type::Any)
        }
        _ if number => Some(Type::Number),
        _ => None,
    }
}

fn order(operator: &str) -> Option<Order> {
    Some(match operator {
        operators::LESS => Order::Less,
        operators::LESS_EQUALS => Order::LessOrEqual,
        operators::GREATER => Order::Greater,
        operators::GREATER_EQUALS => Order::GreaterOrEqual,
        _ => return None,
    })
}

fn arithmetic(operator: &str) -> Option<Arithmetic> {
    Some(match operator {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}
