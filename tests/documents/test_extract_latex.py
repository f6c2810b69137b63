"""LaTeX: what is printed is read, once; what only lays it out is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.documents.model import ExtractedDocument

Read = Callable[..., ExtractedDocument]

PAPER = r"""% nobody reads this
\documentclass[11pt]{book}
\usepackage{amsmath} % nor this
\newcommand{\ours}{RagLoom}
\newcommand{\pair}[2][x]{(#1, #2)}
\newcommand{\be}{\begin{equation}}
\newcommand{\ee}{\end{equation}}
\newtheorem{thm}{Theorem}
\title{On \emph{Looms}\thanks{Paid by nobody.}}
\author{Ada Lovelace \and Ren\'e M\"uller}
\date{12 May 2020}
\begin{document}
\maketitle
\begin{abstract}
We weave.
\end{abstract}
\chapter{First}
\section*{Caf\'e \& bar}\label{sec:a}
Price: 5\,\% of \$100 --- ``really'' it's na\"{\i}ve; \texttt{--flag} \verb|a_b %c\d|.
Text goes % away
on here.\footnote{A note with \textbf{bold}.} Pair \pair{y} and \pair[a]{b}; \ours{} wins.

See \citep[p.~3]{smith2020,doe} and \eqref{eq:1}, \href{https://x.org/a}{the site}, \url{https://y.org/b_c%20d}.
\be \label{eq:1}
E = mc^2 \ee
Let $a_{i} \le \$5$ and \(b\).
\begin{enumerate}
  \item One
  \begin{itemize}
    \item[--] inner $x$
    \item second

      with a paragraph
  \end{itemize}
  \item Two \[ y = 2 \]
\end{enumerate}
\begin{description}
\item[Loom] a machine
\end{description}
\begin{table}[ht]\centering
\caption[short]{A \textit{table} of things}
\begin{tabular}{l|cc}
\toprule
\multirow{2}{*}{Name} & \multicolumn{2}{c}{Scores} \\ \cmidrule(lr){2-3}
 & a & b \\[2pt] \midrule
X \& Y & 1 & $\frac{1}{2}$ \\
Z & \begin{tabular}{c}in\\ner\end{tabular} & \\
\bottomrule
\end{tabular}
\end{table}
\begin{figure}[h]
\includegraphics[width=\textwidth]{a.png}
\caption{A picture.}
\end{figure}
\begin{lstlisting}[language=Python]
def f():  # 100% code
    return "\ours"
\end{lstlisting}
\iffalse hidden \fi
\begin{comment}
never
\end{comment}
\begin{thm}[Pythagoras]
$a^2+b^2=c^2$.
\end{thm}
\unknown[opt]{kept words}{too} {\bf old} \textcolor{red}{red words} A\\B
\begin{thebibliography}{9}
\bibitem{smith2020} Smith, \textit{Looms}, 2020.
\end{thebibliography}
\end{document}
nothing after it
"""


def test_a_paper(read: Read) -> None:
    document = read("a.tex", PAPER)
    assert document.title == "On Looms"
    assert document.metadata == {
        "encoding": "utf-8",
        "author": "Ada Lovelace, René Müller",
        "created": "2020-05-12",
    }
    assert [(b.kind, b.level, b.text) for b in document.blocks] == [
        ("heading", 1, "On Looms"),
        ("paragraph", None, "Paid by nobody."),
        ("paragraph", None, "Ada Lovelace\nRené Müller"),
        ("paragraph", None, "12 May 2020"),
        ("heading", 3, "Abstract"),
        ("paragraph", None, "We weave."),
        ("heading", 2, "First"),
        ("heading", 3, "Café & bar"),
        (
            "paragraph",
            None,
            "Price: 5 % of $100 — “really” it's naïve; --flag a_b %c\\d. Text goes on here. "
            "Pair (x, y) and (a, b); RagLoom wins.",
        ),
        ("paragraph", None, "A note with bold."),
        (
            "paragraph",
            None,
            "See [smith2020, doe, p. 3] and [eq:1], the site, https://y.org/b_c%20d.",
        ),
        ("paragraph", None, "$$E = mc^2$$"),
        ("paragraph", None, r"Let $a_{i} \le \$5$ and $b$."),
        (
            "list",
            None,
            "1. One\n  – inner $x$\n  - second\n    with a paragraph\n2. Two\n  $$y = 2$$",
        ),
        ("list", None, "- Loom: a machine"),
        ("image", None, "A table of things"),
        (
            "table",
            None,
            "| Name | Scores | Scores |\n| --- | --- | --- |\n| Name | a | b |\n"
            "| X & Y | 1 | $\\frac{1}{2}$ |\n| Z | in ner |  |",
        ),
        ("image", None, "A picture."),
        ("code", None, 'def f():  # 100% code\n    return "\\ours"'),
        ("paragraph", None, "Theorem (Pythagoras). $a^2+b^2=c^2$."),
        ("paragraph", None, "kept words too old red words A\nB"),
        ("heading", 3, "References"),
        ("list", None, "- [smith2020] Smith, Looms, 2020."),
    ]
    assert next(b.info for b in document.blocks if b.kind == "code") == "python"


def test_a_part_of_a_paper_and_one_named_txt(read: Read) -> None:
    document = read("part.tex", "\\section{One}\nTwo \\input{three} words\n\n\\subsection{Four}")
    assert [(b.kind, b.level, b.text) for b in document.blocks] == [
        ("heading", 2, "One"),
        ("paragraph", None, "Two words"),
        ("heading", 3, "Four"),
    ]
    named = read("a.txt", "% c\n\\documentclass{article}\n\\begin{document}\nHi\n\\end{document}")
    assert (named.media_type, named.text) == ("text/x-tex", "Hi")


def test_slides(read: Read) -> None:
    text = "\\begin{frame}[fragile]{Why \\emph{looms}}\n\\begin{itemize}\\item<1-> x\\end{itemize}\n\\end{frame}"
    assert [b.text for b in read("a.tex", text).blocks] == ["Why looms", "- x"]


def test_a_line_break_at_the_end_of_a_formula_escapes_nothing(read: Read) -> None:
    text = r"Before $$a=b\\$$ middle $$c=\$$$ after \(x\\) y\\\), $1\$\\$ and $5\$."
    assert [b.text for b in read("a.tex", text).blocks] == [
        "Before",
        r"$$a=b\\$$",
        "middle",
        r"$$c=\$$$",
        r"after $x\\) y\\$, $1\$\\$ and $5$.",
    ]


def test_what_is_said_of_a_paper_in_parts(read: Read) -> None:
    text = "\\title{A}\\author{}\\title{B}\\date{2020-01-02}\\author{C}\\author{D}\n\nText"
    document = read("a.tex", text)
    assert (document.title, document.metadata["author"]) == ("A B", "C, D")
    assert [b.text for b in document.blocks] == ["A B", "C\nD", "2020-01-02", "Text"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a $5 b", "a $5 b"),  # no formula
        ("{open \\textbf{never closed", "open never closed"),
        ("\\begin{tabular}{c} x & y", "c x y"),
        ("\\begin{verbatim} x", "x"),
        ("close } \\end{itemize} \\item y", "close y"),
        ("\\newcommand{\\a}{\\a \\a}\\a z", "z"),
        ("\\textbf", None),
        ("a \\\\[x", "a [x"),
        ("\\verb|x", "|x"),
        ("\\'", None),
        ("\\^{}o", "o"),
        ("\\SI{5}{\\kilo\\gram}, \\qty[x]{2}{m}", "5 kilo gram, 2 m"),
        ("\\title{A\\\\B}", "A B"),
    ],
)
def test_broken_source_keeps_its_words(read: Read, source: str, words: str | None) -> None:
    document = read("a.tex", f"{source}\n\nlast words")
    if words is None:
        assert document.text == "last words"
    else:
        assert " ".join(document.text.split()) == f"{words} last words"
