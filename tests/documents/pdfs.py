"""PDFs written by hand."""

from __future__ import annotations


def simple_pdf(*pages: str, trailer: str = "") -> bytes:
    """Write a PDF by hand: one content stream a page, Helvetica as F1, bold as F2, Courier as F3."""
    count = len(pages)
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{' '.join(f'{6 + 2 * i} 0 R' for i in range(count))}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    for i, content in enumerate(pages):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents "
            f"{7 + 2 * i} 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    body, offsets = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    start = len(body)
    body += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    body += "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    body += (
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF"
    )
    return body.encode("latin-1")


def line(x: int, y: int, text: str, size: int = 10, font: str = "F1") -> str:
    return f"BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET\n"


def page_of(*paragraphs: str, head: str = "", number: str = "") -> str:
    y, content = 720, ""
    if head:
        content += line(60, 770, head, 8)
    for paragraph in paragraphs:
        for text in paragraph.split("\n"):
            size, font = (18, "F2") if text.startswith("#") else (10, "F1")
            content += line(60, y, text.lstrip("# "), size, font)
            y -= 14
        y -= 14
    if number:
        content += line(300, 30, number, 8)
    return content
