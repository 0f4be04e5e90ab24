"""SQLAlchemy 1.4 over psycopg2: the ORM and the inspector."""
import sqlalchemy as sa
from sqlalchemy.orm import Session, declarative_base, relationship

from steps import AUTHORS, DB, HOST, PORT, USER, equal, finish, step

engine = sa.create_engine(f"postgresql+psycopg2://{USER}@{HOST}:{PORT}/{DB}")
Base = declarative_base()


class Author(Base):
    __tablename__ = "drv_authors"
    id = sa.Column(sa.BigInteger, primary_key=True, autoincrement=False)
    name = sa.Column(sa.Text, nullable=False)
    born = sa.Column(sa.Date)
    rating = sa.Column(sa.Numeric(8, 2))
    active = sa.Column(sa.Boolean)
    created = sa.Column(sa.DateTime(timezone=True))
    posts = relationship("Post", back_populates="author", order_by="Post.id")


class Post(Base):
    __tablename__ = "drv_posts"
    author_id = sa.Column(sa.BigInteger, sa.ForeignKey("drv_authors.id"), primary_key=True)
    id = sa.Column(sa.BigInteger, primary_key=True, autoincrement=False)
    title = sa.Column(sa.Text, nullable=False)
    author = relationship("Author", back_populates="posts")


@step("connect")
def _():
    with engine.connect() as conn:
        equal(conn.execute(sa.text("SELECT 1")).scalar(), 1)
        equal(engine.dialect.server_version_info[0] >= 15, True)


@step("types")
def _():
    for row in AUTHORS:
        with Session(engine) as session:
            session.add(Author(**dict(zip(("id", "name", "born", "rating", "active", "created"), row))))
            session.commit()
    for row in AUTHORS:
        with Session(engine) as session:
            got = session.get(Author, row[0])
            equal((got.name, got.born, got.rating, got.active, got.created), row[1:6])


@step("update and delete")
def _():
    with Session(engine) as session:
        session.get(Author, 1).name = "new"
        session.commit()
    with Session(engine) as session:
        equal(session.get(Author, 1).name, "new")
        session.delete(session.get(Author, 40))
        session.commit()
    with Session(engine) as session:
        equal(session.get(Author, 40), None)


@step("transaction")
def _():
    with Session(engine) as session:
        author = session.get(Author, 2)
        author.posts = [Post(id=1, title="one"), Post(id=2, title="two")]
        session.commit()
    with Session(engine) as session:
        session.add(Post(author_id=2, id=3, title="dropped"))
        session.flush()
        session.rollback()
    with Session(engine) as session:
        equal([post.title for post in session.get(Author, 2).posts], ["one", "two"])
        query = session.query(Author.name, sa.func.count(Post.id)).join(Post).filter(Author.id == 2).group_by(Author.name)
        equal(query.all(), [(AUTHORS[1][1], 2)])


@step("errors")
def _():
    try:
        with Session(engine) as session:
            session.add(Author(id=1, name="again"))
            session.commit()
    except sa.exc.IntegrityError as error:
        equal(error.orig.pgcode, "23505")
    else:
        raise AssertionError("no error")


@step("introspection")
def _():
    inspector = sa.inspect(engine)
    names = inspector.get_table_names()
    for table in ("drv_authors", "drv_posts", "drv_tags"):
        equal(table in names, True)
    columns = {c["name"]: c for c in inspector.get_columns("drv_authors")}
    equal(list(columns), ["id", "name", "born", "rating", "active", "created", "token"])
    equal(str(columns["rating"]["type"]), "NUMERIC(8, 2)")
    equal(columns["name"]["nullable"], False)
    equal(inspector.get_pk_constraint("drv_posts")["constrained_columns"], ["author_id", "id"])
    equal(inspector.get_foreign_keys("drv_posts")[0]["referred_table"], "drv_authors")
    equal([i["name"] for i in inspector.get_indexes("drv_posts")], ["drv_posts_title"])
    equal(inspector.get_unique_constraints("drv_tags")[0]["column_names"], ["name"])
    metadata = sa.MetaData()
    metadata.reflect(engine, only=["drv_authors", "drv_posts"])
    equal(sorted(metadata.tables), ["drv_authors", "drv_posts"])


engine.dispose()
finish()
