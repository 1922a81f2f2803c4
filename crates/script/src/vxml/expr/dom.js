// The DOM Level 2 Core of one XML document, read-only (VoiceXML 2.1 §5, App. D). The host gives a
// tree of lists: [1, name, namespace, [[name, namespace, value]…], [child…]] is an element,
// [3, text] a text,
// [4, text] CDATA, [7, target, data] a processing instruction, [8, text] a comment.
(function () {
  "use strict";
  const define = Object.defineProperty, codes = {
    INDEX_SIZE_ERR: 1, DOMSTRING_SIZE_ERR: 2, HIERARCHY_REQUEST_ERR: 3, WRONG_DOCUMENT_ERR: 4,
    INVALID_CHARACTER_ERR: 5, NO_DATA_ALLOWED_ERR: 6, NO_MODIFICATION_ALLOWED_ERR: 7,
    NOT_FOUND_ERR: 8, NOT_SUPPORTED_ERR: 9, INUSE_ATTRIBUTE_ERR: 10, INVALID_STATE_ERR: 11,
    SYNTAX_ERR: 12, INVALID_MODIFICATION_ERR: 13, NAMESPACE_ERR: 14, INVALID_ACCESS_ERR: 15,
  };
  function DOMException(code, message) { this.code = code; this.message = message; }
  DOMException.prototype = Object.create(Error.prototype);
  DOMException.prototype.name = "DOMException";
  DOMException.prototype.toString = function () { return "DOMException: " + this.message; };
  for (const name in codes) {
    define(DOMException, name, { value: codes[name], enumerable: true });
    define(DOMException.prototype, name, { value: codes[name], enumerable: true });
  }
  function refuse() { throw new DOMException(7, "the document can only be read"); }
  const own = Symbol("own"), its = (node) => node[own];
  function hide(node, what) { define(node, own, { value: what }); }
  function getters(type, all) {
    for (const name in all)
      define(type.prototype, name, { get: all[name], set: refuse, enumerable: true });
  }
  function methods(type, all) { for (const name in all) type.prototype[name] = all[name]; }
  function refusals(type, names) { for (const name of names) type.prototype[name] = refuse; }
  const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const quote = (text) => escape(text).replace(/"/g, "&quot;");

  function NodeList() {}
  getters(NodeList, { length() { return its(this).length; } });
  NodeList.prototype.item = function (at) { return its(this)[at >>> 0] ?? null; };
  function listOf(nodes) {
    const list = Object.create(NodeList.prototype);
    hide(list, nodes);
    nodes.forEach((node, at) => define(list, at, { value: node, enumerable: true }));
    return list;
  }

  function NamedNodeMap() {}
  getters(NamedNodeMap, { length() { return its(this).length; } });
  methods(NamedNodeMap, {
    item(at) { return its(this)[at >>> 0] ?? null; },
    getNamedItem(name) { return its(this).find((a) => a.nodeName === String(name)) ?? null; },
    getNamedItemNS(uri, name) {
      return its(this).find((a) => a.localName === name && a.namespaceURI === (uri || null)) ?? null;
    },
  });
  refusals(NamedNodeMap,
    ["setNamedItem", "setNamedItemNS", "removeNamedItem", "removeNamedItemNS"]);

  function Node() {}
  const kinds = {
    ELEMENT_NODE: 1, ATTRIBUTE_NODE: 2, TEXT_NODE: 3, CDATA_SECTION_NODE: 4,
    ENTITY_REFERENCE_NODE: 5, ENTITY_NODE: 6, PROCESSING_INSTRUCTION_NODE: 7, COMMENT_NODE: 8,
    DOCUMENT_NODE: 9, DOCUMENT_TYPE_NODE: 10, DOCUMENT_FRAGMENT_NODE: 11, NOTATION_NODE: 12,
  };
  for (const name in kinds) {
    define(Node, name, { value: kinds[name], enumerable: true });
    define(Node.prototype, name, { value: kinds[name], enumerable: true });
  }
  function beside(node, step) {
    const parent = its(node).parent;
    if (!parent || its(node).kind === 2) return null;
    return its(parent).children[its(node).at + step] ?? null;
  }
  getters(Node, {
    nodeType() { return its(this).kind; },
    nodeName() { return its(this).name; },
    nodeValue() { return its(this).value; },
    parentNode() { return its(this).kind === 2 ? null : its(this).parent; },
    childNodes() { return its(this).list ??= listOf(its(this).children); },
    firstChild() { return its(this).children[0] ?? null; },
    lastChild() { return its(this).children[its(this).children.length - 1] ?? null; },
    previousSibling() { return beside(this, -1); },
    nextSibling() { return beside(this, 1); },
    attributes() { return null; },
    ownerDocument() { return its(this).kind === 9 ? null : its(this).document; },
    namespaceURI() { return its(this).uri ?? null; },
    prefix() {
      const at = its(this).name.indexOf(":");
      return its(this).uri && at > 0 ? its(this).name.slice(0, at) : null;
    },
    localName() {
      const kind = its(this).kind, name = its(this).name;
      return kind === 1 || kind === 2 ? name.slice(name.indexOf(":") + 1) : null;
    },
    textContent() {
      if (its(this).value !== null) return its(this).value;
      return its(this).children.filter((c) => its(c).kind < 7)
        .map((c) => c.textContent).join("");
    },
  });
  methods(Node, {
    hasChildNodes() { return its(this).children.length > 0; },
    hasAttributes() { return its(this).attributes ? its(this).attributes.length > 0 : false; },
    isSupported(feature, version) { return supported(feature, version); },
    normalize() {},
    toString() { return write(this); },
  });
  refusals(Node, ["insertBefore", "replaceChild", "removeChild", "appendChild", "cloneNode"]);

  function write(node) {
    const of = its(node), inner = () => of.children.map(write).join("");
    switch (of.kind) {
      case 1: {
        const attributes = of.attributes.map((a) => " " + write(a)).join("");
        return of.children.length
          ? `<${of.name}${attributes}>${inner()}</${of.name}>` : `<${of.name}${attributes}/>`;
      }
      case 2: return `${of.name}="${quote(of.value)}"`;
      case 3: return escape(of.value);
      case 4: return `<![CDATA[${of.value}]]>`;
      case 7: return `<?${of.name} ${of.value}?>`;
      case 8: return `<!--${of.value}-->`;
      default: return inner();
    }
  }

  function kindOf(base) {
    const type = function () {};
    type.prototype = Object.create(base.prototype);
    define(type.prototype, "constructor", { value: type });
    return type;
  }
  const CharacterData = kindOf(Node), Text = kindOf(CharacterData), Comment = kindOf(CharacterData);
  const Attr = kindOf(Node), Element = kindOf(Node), Document = kindOf(Node);
  const ProcessingInstruction = kindOf(Node);
  getters(CharacterData, {
    data() { return its(this).value; }, length() { return its(this).value.length; },
  });
  methods(CharacterData, {
    substringData(from, count) {
      if (from < 0 || count < 0 || from > its(this).value.length)
        throw new DOMException(1, "there is no such place in the text");
      return its(this).value.substr(from, count);
    },
  });
  refusals(CharacterData, ["appendData", "insertData", "deleteData", "replaceData"]);
  const CDATASection = kindOf(Text);
  refusals(Text, ["splitText"]);
  getters(ProcessingInstruction, {
    target() { return its(this).name; }, data() { return its(this).value; },
  });
  getters(Attr, {
    name() { return its(this).name; }, value() { return its(this).value; },
    specified() { return true; }, ownerElement() { return its(this).parent; },
  });

  function below(node, holds, found) {
    for (const child of its(node).children)
      if (its(child).kind === 1) {
        if (holds(child)) found.push(child);
        below(child, holds, found);
      }
    return found;
  }
  function byName(name) {
    return listOf(below(this, (e) => name === "*" || its(e).name === name, []));
  }
  function byNameNS(uri, name) {
    const holds = (e) => (uri === "*" || e.namespaceURI === (uri || null))
      && (name === "*" || e.localName === name);
    return listOf(below(this, holds, []));
  }
  const named = (e, name) => its(e).attributes.find((a) => its(a).name === String(name));
  const namedNS = (e, uri, name) => its(e).attributes
    .find((a) => a.localName === name && a.namespaceURI === (uri || null));
  getters(Element, {
    tagName() { return its(this).name; },
    attributes() {
      if (!its(this).map) {
        its(this).map = Object.create(NamedNodeMap.prototype);
        hide(its(this).map, its(this).attributes);
        its(this).attributes.forEach((a, at) => define(its(this).map, at, { value: a }));
      }
      return its(this).map;
    },
  });
  methods(Element, {
    getAttribute(name) { const a = named(this, name); return a ? its(a).value : ""; },
    getAttributeNS(uri, name) { const a = namedNS(this, uri, name); return a ? its(a).value : ""; },
    getAttributeNode(name) { return named(this, name) ?? null; },
    getAttributeNodeNS(uri, name) { return namedNS(this, uri, name) ?? null; },
    hasAttribute(name) { return named(this, name) !== undefined; },
    hasAttributeNS(uri, name) { return namedNS(this, uri, name) !== undefined; },
    getElementsByTagName: byName, getElementsByTagNameNS: byNameNS,
  });
  refusals(Element, ["setAttribute", "setAttributeNS", "removeAttribute", "removeAttributeNS",
    "setAttributeNode", "setAttributeNodeNS", "removeAttributeNode"]);

  const supported = (feature, version) => {
    const known = ["core", "xml"].includes(String(feature).toLowerCase());
    return known && (!version || version === "1.0" || version === "2.0");
  };
  const implementation = {
    hasFeature: supported, createDocument: refuse, createDocumentType: refuse,
  };
  getters(Document, {
    documentElement() { return its(this).children.find((c) => its(c).kind === 1) ?? null; },
    doctype() { return null; }, implementation() { return implementation; },
  });
  methods(Document, {
    getElementsByTagName: byName, getElementsByTagNameNS: byNameNS,
    // Without a DTD no attribute is known to be an id.
    getElementById() { return null; },
  });
  refusals(Document, ["createElement", "createElementNS", "createDocumentFragment",
    "createTextNode", "createComment", "createCDATASection", "createProcessingInstruction",
    "createAttribute", "createAttributeNS", "createEntityReference", "importNode"]);

  function make(type, its) {
    const node = Object.create(type.prototype);
    hide(node, Object.assign({ children: [], value: null, uri: null }, its));
    return Object.preventExtensions(node);
  }
  function build(tree, parent, at, document) {
    const [kind, first, second] = tree, place = { kind, parent, at, document };
    if (kind === 3) return make(Text, { ...place, name: "#text", value: first });
    if (kind === 4)
      return make(CDATASection, { ...place, name: "#cdata-section", value: first });
    if (kind === 8) return make(Comment, { ...place, name: "#comment", value: first });
    if (kind === 7)
      return make(ProcessingInstruction, { ...place, name: first, value: second });
    const element = make(Element, { ...place, name: first, uri: second || null });
    its(element).attributes = tree[3].map(([name, uri, value]) =>
      make(Attr, { kind: 2, parent: element, document, name, uri: uri || null, value }));
    its(element).children = tree[4].map((child, at) => build(child, element, at, document));
    return element;
  }
  define(globalThis, "DOMException", { value: DOMException, configurable: true });
  define(globalThis, "Node", { value: Node, configurable: true });
  return function (trees) {
    const document = make(Document, { kind: 9, name: "#document", parent: null });
    its(document).children = trees.map((tree, at) => build(tree, document, at, document));
    return document;
  };
})()
