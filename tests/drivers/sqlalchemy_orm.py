"""SQLAlchemy's ORM as an application uses it: its own tables, keys from sequences, relations, bulk work, cascades."""
import enum

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload, subqueryload

from steps import DB, HOST, PORT, USER, equal, finish, step

engine = sa.create_engine(f"postgresql+psycopg2://{USER}@{HOST}:{PORT}/{DB}")
Base = declarative_base()


class Mood(enum.Enum):
    calm = 1
    keen = 2


tagging = sa.Table("orm_tagging", Base.metadata,
                   sa.Column("book_id", sa.ForeignKey("orm_book.id", ondelete="CASCADE"), primary_key=True),
                   sa.Column("tag_id", sa.ForeignKey("orm_tag.id"), primary_key=True))


class Writer(Base):
    __tablename__ = "orm_writer"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(40), nullable=False, unique=True)
    mood = sa.Column(sa.Enum(Mood, native_enum=False, create_constraint=True, name="orm_mood"))
    born = sa.Column(sa.DateTime(timezone=True), server_default=sa.func.now())
    extra = sa.Column(sa.JSON)
    books = relationship("Book", back_populates="writer", cascade="all, delete-orphan", order_by="Book.id")


class Book(Base):
    __tablename__ = "orm_book"
    __table_args__ = (sa.CheckConstraint("pages > 0", name="orm_book_pages"), sa.Index("orm_book_title", "title"))
    id = sa.Column(sa.Integer, primary_key=True)
    writer_id = sa.Column(sa.ForeignKey("orm_writer.id"), nullable=False, index=True)
    title = sa.Column(sa.String, nullable=False)
    pages = sa.Column(sa.Integer, default=1)
    price = sa.Column(sa.Numeric(8, 2))
    version = sa.Column(sa.Integer, nullable=False)
    writer = relationship(Writer, back_populates="books")
    tags = relationship("Tag", secondary=tagging, order_by="Tag.name", passive_deletes=True)
    __mapper_args__ = {"version_id_col": version}


class Tag(Base):
    __tablename__ = "orm_tag"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(20), nullable=False)


@step("create_all twice")
def _():
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)
    found = sa.inspect(engine)
    equal(sorted(t for t in found.get_table_names() if t.startswith("orm_")),
          ["orm_book", "orm_tag", "orm_tagging", "orm_writer"])
    equal([k["referred_table"] for k in found.get_foreign_keys("orm_book")], ["orm_writer"])
    equal(sorted(i["name"] for i in found.get_indexes("orm_book")), ["ix_orm_book_writer_id", "orm_book_title"])
    equal([u["column_names"] for u in found.get_unique_constraints("orm_writer")], [["name"]])
    equal(found.get_pk_constraint("orm_tagging")["constrained_columns"], ["book_id", "tag_id"])
    equal(sorted(c["name"] for c in found.get_check_constraints("orm_book")), ["orm_book_pages"])


@step("a graph of objects")
def _():
    with Session(engine) as session:
        tags = [Tag(name=n) for n in ("old", "new", "odd")]
        for i in range(1, 6):
            writer = Writer(name=f"writer {i}", mood=Mood.keen if i % 2 else Mood.calm, extra={"n": i, "l": [1, None]})
            writer.books = [Book(title=f"book {i}.{b}", pages=10 * b, price=b, tags=tags[:b]) for b in range(1, 4)]
            session.add(writer)
        session.commit()
        equal(writer.id, 5)
        equal(writer.books[2].writer_id, 5)
        equal(writer.born is not None, True)


@step("loading: selectin, joined, subquery, lazy")
def _():
    for option in (selectinload, joinedload, subqueryload):
        with Session(engine) as session:
            query = sa.select(Writer).options(option(Writer.books)).order_by(Writer.id)
            writers = session.execute(query).unique().scalars().all()
            equal([[b.title for b in w.books] for w in writers],
                  [[f"book {i}.{b}" for b in range(1, 4)] for i in range(1, 6)])
    with Session(engine) as session:
        book = session.execute(sa.select(Book).where(Book.title == "book 2.3")).scalar_one()
        equal([t.name for t in book.tags], ["new", "odd", "old"])
        equal((book.writer.mood, book.writer.extra), (Mood.calm, {"n": 2, "l": [1, None]}))


@step("queries")
def _():
    with Session(engine) as session:
        per_writer = sa.select(Writer.name, sa.func.count(Book.id), sa.func.sum(Book.pages)).join(Book) \
            .group_by(Writer.name).having(sa.func.sum(Book.pages) > 50).order_by(Writer.name).limit(2)
        equal([tuple(r) for r in session.execute(per_writer)], [("writer 1", 3, 60), ("writer 2", 3, 60)])
        equal(session.query(Writer).filter(Writer.books.any(Book.title.ilike("BOOK 3.%"))).one().id, 3)
        equal(session.query(Book).filter(Book.writer.has(name="writer 4"), Book.tags.any(name="odd")).one().pages, 30)
        equal(session.query(Book).filter(Book.id.in_([1, 2, 99])).count(), 2)
        equal(session.query(sa.func.max(Book.price)).scalar() == 3, True)
        older = sa.select(Book.writer_id, sa.func.row_number().over(partition_by=Book.writer_id, order_by=Book.id.desc())
                          .label("place"), Book.title).subquery()
        equal(session.query(older.c.title).filter(older.c.place == 1).order_by(older.c.title).first()[0], "book 1.3")
        equal(session.query(sa.exists().where(Book.pages > 1000)).scalar(), False)


@step("bulk inserts and updates")
def _():
    with Session(engine) as session:
        session.bulk_save_objects([Tag(name=f"bulk {i}") for i in range(250)])
        session.bulk_insert_mappings(Tag, [{"name": f"mapped {i}"} for i in range(250)])
        session.execute(sa.insert(Tag), [{"name": f"core {i}"} for i in range(250)])
        session.commit()
        equal(session.query(Tag).count(), 753)
        changed = session.query(Tag).filter(Tag.name.like("bulk %")).update(
            {Tag.name: Tag.name + "!"}, synchronize_session=False)
        equal(changed, 250)
        equal(session.execute(sa.delete(Tag.__table__).where(Tag.name.like("core %"))).rowcount, 250)
        session.commit()
        equal(session.execute(sa.insert(Tag).values(name="last").returning(Tag.id)).scalar() > 753, True)


@step("cascades and orphans")
def _():
    with Session(engine) as session:
        writer = session.get(Writer, 1)
        del writer.books[0]
        session.commit()
        equal(session.query(Book).filter_by(writer_id=1).count(), 2)
        session.delete(session.get(Writer, 2))
        session.commit()
        equal(session.query(Book).filter_by(writer_id=2).count(), 0)
        equal(session.execute(sa.select(sa.func.count()).select_from(tagging)).scalar(), 3 * 6 + 5)


@step("errors have their names")
def _():
    cases = [(Writer(name="writer 3"), IntegrityError, "23505", "orm_writer_name_key"),
             (Book(title="x", writer_id=999), IntegrityError, "23503", "orm_book_writer_id_fkey"),
             (Book(title="x", writer_id=1, pages=0), IntegrityError, "23514", "orm_book_pages"),
             (Book(writer_id=1), IntegrityError, "23502", None),
             (Tag(name="x" * 21), DataError, "22001", None)]
    for row, error, state, constraint in cases:
        with Session(engine) as session:
            session.add(row)
            try:
                session.flush()
                raise AssertionError(f"{state} expected")
            except error as e:
                equal((e.orig.pgcode, e.orig.diag.constraint_name), (state, constraint))


@step("nested transactions and versions")
def _():
    with Session(engine) as session:
        session.get(Writer, 3).name = "renamed"
        try:
            with session.begin_nested():
                session.add(Writer(name="renamed"))
        except IntegrityError:
            pass
        session.commit()
        equal(session.get(Writer, 3).name, "renamed")
        book = session.query(Book).filter_by(writer_id=3).first()
        before = book.version
        book.pages += 1
        session.commit()
        equal(book.version, before + 1)


@step("drop_all")
def _():
    Base.metadata.drop_all(engine)
    equal([t for t in sa.inspect(engine).get_table_names() if t.startswith("orm_")], [])


finish()
