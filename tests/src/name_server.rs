//! A name server that answers as a test wants, if needed differently each time. Its answers may not be cached.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::CNAME},
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// Answer for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Another name (CNAME), which has the addresses.
    pub alias: Option<&'static str>,
    /// Addresses of the name, of both families.
    pub addresses: Vec<IpAddr>,
}

/// A running name server.
#[derive(Debug)]
pub struct NameServer {
    asked: Arc<Mutex<Asked>>,
    task: JoinHandle<()>,
}

/// Number of queries for each kind of record of each name.
type Asked = BTreeMap<(String, RecordType), usize>;

impl NameServer {
    /// Starts a name server at this address, over UDP. `answer` gets the name and the number of earlier questions for
    /// this kind of address.
    pub async fn start(
        place: SocketAddr,
        answer: impl Fn(&str, usize) -> Option<Answer> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind(place).await.unwrap();
        let asked = Arc::new(Mutex::new(Asked::new()));
        let count = asked.clone();
        let task = tokio::spawn(async move {
            let mut query = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                let Ok(query) = Message::from_vec(&query[..length]) else { continue };
                let response = respond(&query, &count, &answer).to_vec().unwrap();
                socket.send_to(&response, from).await.unwrap();
            }
        });
        Self { asked, task }
    }

    /// Returns the number of queries for IPv4 addresses of this name.
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(&(name.to_owned(), RecordType::A)).copied().unwrap_or(0)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn respond(
    query: &Message,
    asked: &Mutex<Asked>,
    answer: &impl Fn(&str, usize) -> Option<Answer>,
) -> Message {
    let question = query.queries[0].clone();
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.recursion_available = true;
    response.add_query(question.clone());
    let name = question.name().to_utf8().trim_end_matches('.').to_lowercase();
    let before = {
        let mut asked = asked.lock().unwrap();
        let count = asked.entry((name.clone(), question.query_type())).or_default();
        *count += 1;
        *count - 1
    };
    let Some(Answer { alias, addresses }) = answer(&name, before) else {
        response.metadata.response_code = ResponseCode::NXDomain;
        return response;
    };
    let mut owner = question.name().clone();
    if let Some(alias) = alias {
        let alias = Name::from_utf8(alias).unwrap();
        let data = RData::CNAME(CNAME(alias.clone()));
        response.add_answer(Record::from_rdata(owner, 0, data));
        owner = alias;
    }
    for address in addresses {
        let data = RData::from(address);
        if data.record_type() == question.query_type() {
            response.add_answer(Record::from_rdata(owner.clone(), 0, data));
        }
    }
    response
}
