"""Write the demo's handbook in six formats: `python docs/handbook/make.py`.

The result is committed under `app/demo/documents`; run this again after changing the text. Needs
`reportlab` besides the product's own packages.
"""

from __future__ import annotations

from pathlib import Path

from app.settings import Settings

OUT = Path(__file__).parents[2] / "app" / "demo" / "documents"

PAGES: list[tuple[str, list[str]]] = [
    (
        "What Ragloom is",
        [
            "Ragloom is a visual workshop for retrieval-augmented generation (RAG). You put documents "
            "into versioned knowledge bases, draw a directed acyclic graph (DAG) of typed nodes on a "
            "canvas in the browser, run it, and see what every step received and produced.",
            "A workflow that works is shipped as it stands: exported as a JSON file, called over REST, "
            "or run from the command line. The file is NetworkX node-link data, so any Python program "
            "can read the graph without Ragloom.",
            "Ragloom starts in seconds on a laptop. It needs no key, no GPU and no network after "
            "installation: the default embedding model, the default reranker and the default answerer "
            "are part of the installation. It makes no outbound connection unless you ask for one.",
            "The default answerer is extractive. It quotes the sentences of your documents that best "
            "answer the question, numbers them, and abstains when nothing in the passages supports an "
            "answer. Any model that litellm knows can take its place, in the settings of one node.",
        ],
    ),
    (
        "Knowledge bases and their versions",
        [
            "A knowledge base (KB) is versioned the way git versions source code. Every change is a "
            "commit: an upload, a new version of a document, and a removal each write one. A commit "
            "names its parents, its author, the time, a message, and a manifest that says which "
            "version of which document belongs to it.",
            "A document version is made of two hashes: the hash of the file's content and the hash of "
            "the processing settings. Uploading the same file with the same settings again changes "
            "nothing and writes no commit. Changing either makes a new version; the old one stays in "
            "the history.",
            "Search runs at any branch or commit, because a chunk is found only if its document "
            "version is a member of that commit's manifest. This is also why Ragloom may reuse earlier "
            "results: a retrieval at the same commit with the same settings gives the same chunks.",
            "Chunks and their vectors are rows in the database, keyed by embedding model and text. "
            "Unchanged text is never embedded twice, and the vector index and the keyword index can "
            "be rebuilt from the database at any time without running a model.",
        ],
    ),
    (
        "From a file to searchable chunks",
        [
            "Ingestion is itself a workflow with five steps: files, extract, chunk, quality check, "
            "and embed and index. You can open it on the canvas, change it, and run it on one document "
            "to see what each step does.",
            "Every file is parsed in a worker process with limits on time, memory and output size. A "
            "damaged or hostile file costs one worker, never the server; it is marked with an error "
            "that says what to do, and the other files go on.",
            "The recursive chunker splits at headings first, then paragraphs, then sentences. Sizes "
            "are counted in tokens of the embedding model. A table or a code block that fits is kept "
            "whole. Each chunk keeps its page, slide or sheet number and the headings above it, and "
            "the heading path is put in front of the text that is embedded.",
            "An upload is acknowledged once the originals and the list of work are on disk. If the "
            "process is killed at that instant or later, the work continues at the next start: nothing "
            "is lost and nothing is indexed twice.",
        ],
    ),
    (
        "How retrieval works",
        [
            "Semantic search embeds the question and finds the chunks whose vectors point in the most "
            "similar direction. Keyword search ranks chunks by BM25, which rewards rare words that "
            "occur often in a short chunk. Hybrid search runs both and fuses the two rankings.",
            "Use semantic search for questions in everyday words, keyword search for codes, names and "
            "error messages, and hybrid search when you are not sure; hybrid is the default. The "
            "semantic weight moves the balance: 0 is keyword only, 1 is semantic only, and 0.5, the "
            "default, treats both alike.",
            "Reranking reads the question and each chunk together with a cross-encoder and orders the "
            "chunks again. It is slower than the first search and more exact, so search for 20 chunks "
            "and keep the best 5. Maximal marginal relevance (MMR) does the opposite job: it drops "
            "chunks that repeat what a better chunk already says.",
            "Metadata filters narrow a search to chunks whose fields match, for example one document, "
            "one language or a range of pages. A score threshold removes chunks that are too weak to "
            "be worth reading.",
        ],
    ),
    (
        "Answers, citations and validation",
        [
            "Every sentence of an answer carries the numbers of the passages that support it. Opening "
            "a citation shows the passage in its document, on its page.",
            "The validation step checks an answer in two ways. It scores how well each sentence is "
            "supported by the passages it cites, and how relevant the answer is to the question. The "
            "verdict passes when the confidence reaches the threshold, which is 0.7 by default, and it "
            "always gives its reasons.",
            "A failed verdict need not be the end. The demo's second workflow sends the question down "
            "a retry branch that searches more widely, with 40 chunks instead of 20, and answers once "
            "more. If the second answer fails too, the reader sees it with its verdict.",
            "When the passages do not support an answer, Ragloom says so instead of guessing. An "
            "abstention has no citations and a confidence of 0.",
        ],
    ),
    (
        "Running and inspecting",
        [
            "A node starts as soon as its own inputs are ready; branches run at the same time. While a "
            "run is under way each node shows its state and elapsed time, and the answer appears word "
            "by word. Cancelling stops a run within a second.",
            "Select a node to see its inputs, outputs, time taken, error and cache state. A node whose "
            "inputs and settings did not change is not run again; its badge says cached, and after a "
            "change the badge says why it ran, for example that top_k went from 5 to 8.",
            "The history keeps every run with the graph as it was. Opening a past run puts it on the "
            "canvas with its data, so that an answer from last week can be explained today.",
            "Large inputs and outputs are kept out of the database as files, and runs older than the "
            "retention time of 30 days are removed.",
        ],
    ),
]

PORTS = [
    ("Question", "inputs", "–", "query", "Asks for the question of each run."),
    ("Preprocess", "text", "query", "query", "Normalises, expands acronyms, corrects spelling."),
    ("Retrieve", "retrieval", "query", "chunks", "Finds chunks in a knowledge base."),
    ("Rerank", "retrieval", "query, chunks", "chunks", "Orders chunks by a cross-encoder."),
    ("Diversify", "retrieval", "query, chunks", "chunks", "Drops repetition by MMR."),
    ("Generate", "generation", "query, chunks", "answer", "Writes a cited answer."),
    ("Validate", "checks", "query, answer, chunks", "verdict", "Scores support and relevance."),
    ("Condition", "logic", "value", "yes, no", "Sends a value down one of two branches."),
    ("Merge", "logic", "values", "value", "Takes the first branch that gives a value."),
    ("Answer output", "outputs", "answer", "–", "Names the answer of the workflow."),
]

#: Settings of the sheet and their units; defaults and words come from the settings themselves.
SETTINGS = {
    "host": "", "port": "", "data": "", "max_upload_mb": "MB", "parse_timeout_s": "s",
    "parse_memory_mb": "MB", "ingest_workers": "documents", "run_timeout_s": "s",
    "retention_days": "days",
}  # fmt: skip

# Published nDCG@10 on the SciFact test set: BM25 from the Anserini regressions, the models from the
# MTEB results repository.
CHART = {
    "BM25": 0.679,
    "all-MiniLM-L6-v2": 0.645,
    "multilingual-e5-small": 0.676,
    "bge-small-en-v1.5": 0.713,
}


def handbook_pdf() -> None:
    """Six pages of text and a table."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

    title = ParagraphStyle(
        "title", fontName="Helvetica-Bold", fontSize=22, leading=28, spaceAfter=14
    )
    head = ParagraphStyle("head", fontName="Helvetica-Bold", fontSize=15, leading=20, spaceAfter=8)
    body = ParagraphStyle("body", fontName="Helvetica", fontSize=11, leading=16.5, spaceAfter=9)
    story: list[object] = [Paragraph("The Ragloom handbook", title)]
    for number, (heading, paragraphs) in enumerate(PAGES, 1):
        story.append(Paragraph(f"{number}. {heading}", head))
        story += [Paragraph(p, body) for p in paragraphs]
        if heading == "How retrieval works":
            rows = [
                ["Search type", "Good for", "Blind to"],
                ["Semantic", "everyday wording, paraphrases", "codes and rare names"],
                ["Keyword", "codes, names, error messages", "synonyms"],
                ["Hybrid", "questions of unknown kind", "little; it costs both searches"],
            ]
            table = Table(rows, colWidths=[32 * mm, 62 * mm, 62 * mm], hAlign="LEFT")
            table.setStyle(
                [
                    ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
                    ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 10),
                    ("FONT", (0, 1), (-1, -1), "Helvetica", 10),
                ]
            )
            story += [Spacer(1, 4), table]
        if number < len(PAGES):
            story.append(PageBreak())
    SimpleDocTemplate(
        str(OUT / "handbook.pdf"),
        pagesize=A4,
        leftMargin=25 * mm,
        rightMargin=25 * mm,
        topMargin=22 * mm,
        bottomMargin=22 * mm,
        title="The Ragloom handbook",
        author="The Ragloom authors",
        invariant=1,
    ).build(story)


def node_guide_docx() -> None:
    """The node guide with a table of ports."""
    from docx import Document

    doc = Document()
    doc.core_properties.title = "Node guide"
    doc.core_properties.author = "The Ragloom authors"
    doc.add_heading("Node guide", 0)
    doc.add_heading("Typed ports", 1)
    doc.add_paragraph(
        "Every node has typed input and output ports. A wire connects an output to an input of the "
        "same type; a wire that does not fit is refused, and the message names both types and what "
        "would fit. An input takes one wire unless it is marked as taking many."
    )
    doc.add_heading("The nodes of question answering", 1)
    table = doc.add_table(rows=1, cols=5)
    table.style = "Table Grid"
    for cell, text in zip(
        table.rows[0].cells, ("Node", "Family", "Inputs", "Outputs", "What it does"), strict=True
    ):
        cell.text = text
    for row in PORTS:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    doc.add_heading("When something goes wrong in a node", 1)
    doc.add_paragraph(
        "Each node has a time limit, a number of retries with growing pauses, and a policy for "
        "errors: fail the run, skip the branch, or go on with a fallback value. A node can also be "
        "disabled, and its last output can be pinned so that it is not run again."
    )
    doc.save(str(OUT / "node-guide.docx"))


def retrieval_pptx() -> None:
    """Four slides, one with a chart."""
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = Presentation()
    deck.core_properties.title = "Choosing an embedding model"
    slide = deck.slides.add_slide(deck.slide_layouts[0])
    slide.shapes.title.text = "Choosing an embedding model"
    slide.placeholders[1].text = "Why bge-small-en-v1.5 is Ragloom's default"
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "What the default has to do"
    slide.placeholders[1].text = (
        "Load in less than a second and fit into 200 MB of memory\n"
        "Run on a laptop's processor without a GPU\n"
        "Come with the installation, under a licence that allows it (MIT)\n"
        "Find paraphrases at least as well as keyword search finds words"
    )
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Retrieval quality on SciFact (nDCG@10, published)"
    data = CategoryChartData()
    data.categories = list(CHART)
    data.add_series("nDCG@10 on SciFact", list(CHART.values()))
    slide.shapes.add_chart(
        XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(1.6), Inches(8), Inches(5), data
    )
    slide.notes_slide.notes_text_frame.text = (
        "bge-small-en-v1.5 reaches 0.713, ahead of BM25 with 0.679. Sources: Anserini regressions "
        "and the MTEB results repository."
    )
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "When to choose another model"
    slide.placeholders[1].text = (
        "Documents in other languages: choose a multilingual model\n"
        "Very long passages: choose a model with a longer context than 512 tokens\n"
        "A change of model re-embeds the documents; the chunks stay as they are"
    )
    deck.save(str(OUT / "embedding-models.pptx"))


def settings_xlsx() -> None:
    """One sheet of settings and one of keyboard shortcuts."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    sheet = book.active
    sheet.title = "Settings"
    sheet.append(["Setting", "Default", "Unit", "What it does"])
    for name, unit in SETTINGS.items():
        field = Settings.model_fields[name]
        sheet.append([name, str(field.default), unit, field.description])
    keys = book.create_sheet("Shortcuts")
    keys.append(["Keys", "What they do"])
    for row in (
        ("Ctrl+Enter", "Run the workflow"),
        ("Ctrl+Z", "Undo"),
        ("Ctrl+Shift+Z", "Redo"),
        ("Ctrl+C, Ctrl+V", "Copy and paste nodes"),
        ("Delete", "Delete the selection"),
        ("Tab", "Add a node"),
        ("Ctrl+K", "Find anything"),
        ("?", "Show all shortcuts"),
    ):
        keys.append(row)
    for page in (sheet, keys):
        page.column_dimensions["A"].width = 20
        page.column_dimensions["D"].width = 60
        for cell in page[1]:
            cell.font = Font(bold=True)
    book.save(OUT / "settings.xlsx")


def main() -> None:
    """Write the generated four; the Markdown and HTML files are written by hand."""
    OUT.mkdir(parents=True, exist_ok=True)
    handbook_pdf()
    node_guide_docx()
    retrieval_pptx()
    settings_xlsx()


if __name__ == "__main__":
    main()
